import type { DeviceInfo, SourceState } from '../local-media.ts';
import type {
  Joined,
  LeaveReason,
  Participant,
  RoomInfo,
  ServerEvent,
  SlotChange,
  SlotInfo,
  Source,
  You,
} from '../protocol.ts';

/** Why there is no call, in words for a person. */
export interface Problem {
  readonly code: string;
  readonly title: string;
  readonly detail: string;
}

/** How the numbered session with the hub is. */
export type Link =
  | { readonly is: 'open' }
  | { readonly is: 'reconnecting'; readonly attempt: number }
  /** The session is gone and a new one is made; the person stays in the call. */
  | { readonly is: 'rejoining' };

/** A receive place and what plays in it. */
export interface Place extends SlotInfo {
  readonly participantId: string | null;
  readonly source: Source | null;
  /** One's own line does not take this picture now; the place shows nothing. */
  readonly paused: boolean;
}

/** What is known of the room, in the lobby and in the call. */
interface Present {
  readonly room: RoomInfo;
  readonly you: You;
  readonly others: readonly Participant[];
  readonly places: readonly Place[];
  readonly link: Link;
  readonly media: RTCPeerConnectionState;
}

export type Phase =
  | { readonly phase: 'joining'; readonly note: string | null }
  | ({ readonly phase: 'lobby'; readonly entering: boolean } & Present)
  | ({ readonly phase: 'live'; readonly callId: string; readonly speakers: readonly string[] } & Present)
  | { readonly phase: 'ended'; readonly reason: LeaveReason; readonly room: RoomInfo | null }
  | { readonly phase: 'failed'; readonly problem: Problem };

interface Always {
  readonly own: Readonly<Record<Source, SourceState>>;
  readonly devices: readonly DeviceInfo[];
  /** The latest thing worth saying to the person, such as an event that the hub refused. */
  readonly notice: Problem | null;
}

export type CallState = Always & Phase;
export type Live = Extract<CallState, { phase: 'live' }>;
export type Lobby = Extract<CallState, { phase: 'lobby' }>;

/** What a source reports has happened. The only way the state changes. */
export type Fact =
  | { readonly fact: 'joining'; readonly note: string | null }
  | { readonly fact: 'rejoining' }
  | { readonly fact: 'joined'; readonly frame: Joined }
  /** The call has gone over to another media node; what the hub said there since `frame`. */
  | { readonly fact: 'crossed'; readonly frame: Joined; readonly events: readonly ServerEvent[]; readonly media: RTCPeerConnectionState }
  | { readonly fact: 'entering' }
  | { readonly fact: 'event'; readonly event: ServerEvent }
  | { readonly fact: 'reconnecting'; readonly attempt: number }
  | { readonly fact: 'resumed' }
  | { readonly fact: 'places'; readonly slots: readonly SlotInfo[] }
  | { readonly fact: 'media'; readonly state: RTCPeerConnectionState }
  | { readonly fact: 'own'; readonly source: Source; readonly state: SourceState }
  | { readonly fact: 'devices'; readonly devices: readonly DeviceInfo[] }
  | { readonly fact: 'renamed'; readonly name: string }
  | { readonly fact: 'notice'; readonly notice: Problem | null }
  | { readonly fact: 'ended'; readonly reason: LeaveReason }
  | { readonly fact: 'failed'; readonly problem: Problem };

const off: SourceState = { is: 'off' };

export const initial: CallState = freeze({
  phase: 'joining',
  note: null,
  own: { microphone: off, camera: off, screen: off, screen_audio: off },
  devices: [],
  notice: null,
});

/** The state after a fact; the same object if the fact changes nothing. Pure. */
export function reduce(state: CallState, fact: Fact): CallState {
  const next: CallState = step(state, fact);
  return next === state ? state : freeze(next);
}

function step(state: CallState, fact: Fact): CallState {
  switch (fact.fact) {
    case 'joining':
      // Who is in the call stays there while the page tries to get back.
      return state.phase === 'live' ? { ...state, link: { is: 'rejoining' } } : { ...always(state), phase: 'joining', note: fact.note };
    case 'rejoining':
      return present(state) ? { ...state, link: { is: 'rejoining' } } : state;
    case 'joined':
      return joined(state, fact.frame);
    case 'crossed':
      return state.phase === 'live' ? crossed(state, fact.frame, fact.events, fact.media) : state;
    case 'entering':
      return state.phase === 'lobby' ? { ...state, entering: true } : state;
    case 'event':
      return present(state) ? happened(state, fact.event) : state;
    case 'reconnecting':
      if (state.phase === 'joining' && fact.attempt > 0) return { ...state, note: 'The service does not answer yet; trying again.' };
      return present(state) && state.link.is !== 'rejoining' ? { ...state, link: { is: 'reconnecting', attempt: fact.attempt } } : state;
    case 'resumed':
      return present(state) ? { ...state, link: { is: 'open' } } : state;
    case 'places':
      return present(state) ? { ...state, places: placesOf(state.places, fact.slots) } : state;
    case 'media':
      return present(state) ? { ...state, media: fact.state } : state;
    case 'own':
      return { ...state, own: { ...state.own, [fact.source]: fact.state } };
    case 'devices':
      return { ...state, devices: fact.devices };
    case 'renamed':
      return present(state) ? { ...state, you: { ...state.you, name: fact.name } } : state;
    case 'notice':
      return { ...state, notice: fact.notice };
    case 'ended':
      return { ...always(state), phase: 'ended', reason: fact.reason, room: present(state) ? state.room : null };
    case 'failed':
      return { ...always(state), phase: 'failed', problem: fact.problem };
  }
}

function joined(state: CallState, frame: Joined): CallState {
  const here: Present = {
    room: frame.room,
    you: frame.you,
    others: frame.participants.filter((one) => one.participant_id !== frame.you.participant_id),
    places: placesOf([], frame.slots),
    link: { is: 'open' },
    media: 'new',
  };
  // Joined anew in the middle of a call: the person stays where they were.
  if (state.phase === 'live') return { ...state, ...here, speakers: [] };
  return { ...always(state), ...here, phase: 'lobby', entering: state.phase === 'lobby' && state.entering };
}

function crossed(state: Live, frame: Joined, events: readonly ServerEvent[], media: RTCPeerConnectionState): CallState {
  const after: CallState = events.reduce<CallState>((now, event) => (present(now) ? happened(now, event) : now), joined(state, frame));
  return present(after) ? { ...after, media } : after;
}

function happened(state: Live | Lobby, event: ServerEvent): CallState {
  switch (event.type) {
    case 'entered':
      return state.phase === 'live'
        ? { ...state, callId: event.call_id }
        : { ...always(state), ...presence(state), phase: 'live', callId: event.call_id, speakers: [] };
    case 'participant_joined':
    case 'participant_changed':
      return { ...state, others: withParticipant(state, event.participant) };
    case 'participant_left':
      return { ...state, others: state.others.filter((one) => one.participant_id !== event.participant_id) };
    case 'slots':
      return { ...state, places: changed(state.places, event.slots) };
    case 'paused':
      return { ...state, places: paused(state.places, event.mids) };
    case 'speakers':
      return state.phase === 'live' ? { ...state, speakers: event.participant_ids } : state;
    case 'rejected':
      return { ...state, notice: { code: event.code, title: 'The service refused this', detail: event.message } };
    case 'answered':
    case 'move':
    case 'resting':
    case 'media_lost':
    case 'closed':
      return state;
  }
}

function withParticipant(state: Live | Lobby, one: Participant): readonly Participant[] {
  if (one.participant_id === state.you.participant_id) return state.others;
  const known: boolean = state.others.some((other) => other.participant_id === one.participant_id);
  if (!known) return [...state.others, one];
  return state.others.map((other) => (other.participant_id === one.participant_id ? one : other));
}

function placesOf(before: readonly Place[], slots: readonly SlotInfo[]): readonly Place[] {
  return slots.map((slot) => {
    const known: Place | undefined = before.find((place) => place.mid === slot.mid);
    return { ...slot, participantId: known?.participantId ?? null, source: known?.source ?? null, paused: known?.paused ?? false };
  });
}

function changed(places: readonly Place[], changes: readonly SlotChange[]): readonly Place[] {
  return places.map((place) => {
    const change: SlotChange | undefined = changes.find(({ mid }) => mid === place.mid);
    return change ? { ...place, participantId: change.participant_id, source: change.source } : place;
  });
}

function paused(places: readonly Place[], mids: readonly string[]): readonly Place[] {
  return places.map((place) => (place.paused === mids.includes(place.mid) ? place : { ...place, paused: !place.paused }));
}

/** Whether the person is in the room, in the lobby or in the call. */
export function present(state: CallState): state is Live | Lobby {
  return state.phase === 'live' || state.phase === 'lobby';
}

/** Whether a source is heard or seen by the others. */
export function flows(state: SourceState): boolean {
  return state.is === 'on' && !state.muted;
}

function always({ own, devices, notice }: CallState): Always {
  return { own, devices, notice };
}

function presence({ room, you, others, places, link, media }: Present): Present {
  return { room, you, others, places, link, media };
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) freeze(inner);
  return value;
}
