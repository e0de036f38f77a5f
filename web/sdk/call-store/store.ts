import type { Body, Received } from '../messages.ts';
import { perform, type Request } from './requests.ts';
import { Sources, type CallOptions } from './sources.ts';
import { initial, present, reduce, type CallState, type Fact } from './state.ts';

/** To whom a message goes, and how. */
export interface Sending {
  /** Participants, at most 16; everybody in the call without it. */
  readonly to?: readonly string[];
  /** In order, and repeated until it arrives (the default); else once. */
  readonly reliable?: boolean;
}

/** What somebody in the call wrote. */
export interface Message {
  /** The participant; `null` when they have just left. */
  readonly from: string | null;
  readonly body: Body;
  /** Reliable messages before this one that a limit of the service kept from us. */
  readonly missed: number;
}

/** The state of one call: `getState`, `dispatch`, `subscribe`. Snapshots are frozen. */
export class CallStore {
  readonly sources: Sources;
  readonly #listeners = new Set<(state: CallState, fact: Fact) => void>();
  #state: CallState = initial;

  /** With `onMessage`, people of the call can write to each other. */
  constructor({ onMessage, ...options }: Omit<CallOptions, 'onMessage'> & { readonly onMessage?: (message: Message) => void }) {
    const heard = ({ legId, body, missed }: Received): void => onMessage?.({ from: this.#participantOf(legId), body, missed });
    this.sources = new Sources({ ...options, ...(onMessage ? { onMessage: heard } : {}) }, (fact) => this.#apply(fact));
  }

  /** Writes to people of the call. Answers false while that is not possible; throws a message beyond the limits. */
  send(body: Body, { to, reliable = true }: Sending = {}): boolean {
    const state: CallState = this.#state;
    if (state.phase !== 'live') return false;
    const legs: readonly string[] = state.others.filter(({ participant_id }) => to?.includes(participant_id)).map(({ leg_id }) => leg_id);
    // Whoever is named and has left is not everybody.
    if (to !== undefined && legs.length === 0) return false;
    return this.sources.message(body, legs, reliable);
  }

  getState(): CallState {
    return this.#state;
  }

  dispatch(request: Request): void {
    perform(request, this.sources, this.#state);
  }

  /** Calls back after each change; answers how to stop. */
  subscribe(listener: (state: CallState, fact: Fact) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #participantOf(legId: string): string | null {
    const others = present(this.#state) ? this.#state.others : [];
    return others.find(({ leg_id }) => leg_id === legId)?.participant_id ?? null;
  }

  #apply(fact: Fact): void {
    const before: CallState = this.#state;
    this.#state = reduce(before, fact);
    if (this.#state === before) return;
    for (const listener of [...this.#listeners]) listener(this.#state, fact);
    if (fact.fact === 'event' || fact.fact === 'joined' || fact.fact === 'crossed' || fact.fact === 'places') void this.sources.grow(videosOf(this.#state));
  }
}

/** How many videos of others there are to see. */
function videosOf(state: CallState): number {
  if (!present(state)) return 0;
  return state.others
    .flatMap(({ tracks }) => tracks)
    .filter(({ source, muted }) => !muted && (source === 'camera' || source === 'screen')).length;
}
