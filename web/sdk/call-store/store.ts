import { perform, type Request } from './requests.ts';
import { Sources, type CallOptions } from './sources.ts';
import { initial, present, reduce, type CallState, type Fact } from './state.ts';

/** The state of one call: `getState`, `dispatch`, `subscribe`. Snapshots are frozen. */
export class CallStore {
  readonly sources: Sources;
  readonly #listeners = new Set<(state: CallState, fact: Fact) => void>();
  #state: CallState = initial;

  constructor(options: CallOptions) {
    this.sources = new Sources(options, (fact) => this.#apply(fact));
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

  #apply(fact: Fact): void {
    const before: CallState = this.#state;
    this.#state = reduce(before, fact);
    if (this.#state === before) return;
    for (const listener of [...this.#listeners]) listener(this.#state, fact);
    if (fact.fact === 'event' || fact.fact === 'joined' || fact.fact === 'places') void this.sources.grow(videosOf(this.#state));
  }
}

/** How many videos of others there are to see. */
function videosOf(state: CallState): number {
  if (!present(state)) return 0;
  return state.others
    .flatMap(({ tracks }) => tracks)
    .filter(({ source, muted }) => !muted && (source === 'camera' || source === 'screen')).length;
}
