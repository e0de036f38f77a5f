/**
 * The messages between a page and the hub: the TypeScript side of `signaling/src/protocol.rs`.
 * Golden messages in `tests/fixtures/protocol` are read by the tests of both.
 */
import { count, flag, list, nullable, object, optional, tagged, text, word, type Of } from './shape.ts';

/** The WebSocket subprotocol. */
export const SUBPROTOCOL = 'tuppence.v1';
/** The largest frame either side sends, in bytes. */
export const FRAME_BYTES_MAX = 128 * 1024;
/** The longest display name, in characters after trimming. */
export const NAME_CHARS_MAX = 64;

const source = word('microphone', 'camera', 'screen', 'screen_audio');
const kind = word('audio', 'video');
const leaveReason = word('left', 'lost', 'lobby_expired', 'replaced', 'removed', 'shutting_down');
const sendLine = object({ mid: text, source });
const trackInfo = object({ source, muted: flag });
const participant = object({ participant_id: text, leg_id: text, name: text, tracks: list(trackInfo), away: optional(flag) });
const slotInfo = object({ mid: text, kind, seat: count });
const slotChange = object({ mid: text, participant_id: nullable(text), source: nullable(source) });
const you = object({ participant_id: text, leg_id: text, name: text, may_publish: list(source) });
const room = object({ room_id: text, title: text, participants_max: count });
const iceServer = object({ urls: list(text), username: text, credential: text });
const wantedTrack = object({ participant_id: text, source, width: count, height: count });

const clientEvent = tagged({
  enter: object({ name: optional(text), muted: list(source) }),
  mute: object({ source, muted: flag }),
  view: object({ wants: list(wantedTrack) }),
  offer: object({ offer: text, sends: list(sendLine) }),
  rename: object({ name: text }),
  leave: object({}),
});

const clientFrame = tagged({
  join: object({ token: text, offer: text, sends: list(sendLine), name: optional(text) }),
  rejoin: object({ resume: text, offer: text, sends: list(sendLine) }),
  resume: object({ resume: text, received: count }),
  event: object({ seq: count, body: clientEvent }),
  ack: object({ seq: count }),
  pong: object({}),
});

const serverEvent = tagged({
  entered: object({ call_id: text }),
  participant_joined: object({ participant }),
  participant_changed: object({ participant }),
  participant_left: object({ participant_id: text, reason: leaveReason }),
  slots: object({ slots: list(slotChange) }),
  paused: object({ mids: list(text) }),
  resting: object({ source, rids: list(text) }),
  speakers: object({ participant_ids: list(text) }),
  answered: object({ answer: text, slots: list(slotInfo) }),
  rejected: object({ seq: count, code: text, message: text }),
  move: object({ within_ms: count }),
  media_lost: object({}),
  closed: object({ reason: leaveReason }),
});

const serverFrame = tagged({
  joined: object({
    you,
    room,
    participants: list(participant),
    answer: text,
    slots: list(slotInfo),
    ice_servers: optional(list(iceServer)),
    resume: text,
    heartbeat_ms: count,
    resume_within_ms: count,
  }),
  resumed: object({ received: count }),
  refused: object({ code: text, message: text, retry_after_ms: optional(count) }),
  // The body is read apart: an event of a newer server still has its number, and must be counted.
  event: object({ seq: count, body: (value: unknown) => (value === undefined ? undefined : { value }) }),
  ack: object({ seq: count }),
  ping: object({}),
});

export type Source = Of<typeof source>;
export type Kind = Of<typeof kind>;
export type LeaveReason = Of<typeof leaveReason>;
export type SendLine = Of<typeof sendLine>;
export type TrackInfo = Of<typeof trackInfo>;
export type Participant = Of<typeof participant>;
export type SlotInfo = Of<typeof slotInfo>;
export type SlotChange = Of<typeof slotChange>;
export type IceServer = Of<typeof iceServer>;
export type You = Of<typeof you>;
export type RoomInfo = Of<typeof room>;
export type WantedTrack = Of<typeof wantedTrack>;
export type ClientEvent = Of<typeof clientEvent>;
export type ClientFrame = Of<typeof clientFrame>;
export type ServerEvent = Of<typeof serverEvent>;
export type ServerFrame = Of<typeof serverFrame>;
export type Joined = Extract<ServerFrame, { type: 'joined' }>;
export type Refused = Extract<ServerFrame, { type: 'refused' }>;

/** Reads a frame from the hub; `undefined` if it is none of this protocol. */
export function readServerFrame(json: string): ServerFrame | undefined {
  return serverFrame(parse(json));
}

/** Reads the body of a numbered event; `undefined` for an event this page does not know. */
export function readServerEvent(body: { readonly value: unknown }): ServerEvent | undefined {
  return serverEvent(body.value);
}

/** Reads a page's frame: for tests, which hold both sides to the same fixtures. */
export function readClientFrame(json: string): ClientFrame | undefined {
  return clientFrame(parse(json));
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
