import type { World } from '../connection.ts';
import type { IceServer } from '../protocol.ts';
import type { Line } from './crossing.ts';

/** How long the ways that cost nobody anything are tried. Over UDP or TCP a connection is there within a second. */
const AFTER_MS = 3_000;
/** A way that stutters is given a moment before others are looked for. */
const LOST_FOR_MS = 1_000;
/** While another offer is under way. */
const AGAIN_MS = 200;

/** What a detour says to its owner. */
export interface Detoured {
  /** An offer went out under this number. */
  offered(seq: number): void;
}

/**
 * Looks for another way to the media when the one there was is gone, or none is found (an ICE restart): also through TLS, by the
 * servers that the hub named, for networks that let nothing else out. Not before, since there all packets wait for each other.
 */
export class Detour {
  readonly #line: Line;
  readonly #servers: readonly IceServer[];
  readonly #world: World;
  readonly #owner: Detoured;
  #taken = false;

  /** `isNeeded`: nothing else got through before, so nothing else is waited for. */
  constructor(line: Line, servers: readonly IceServer[], owner: Detoured, world: World, isNeeded: boolean) {
    this.#line = line;
    this.#servers = servers;
    this.#owner = owner;
    this.#world = world;
    if (servers.length > 0) world.later(() => this.take(), isNeeded ? 0 : AFTER_MS);
  }

  /** Whether the line may go through a server. */
  get taken(): boolean {
    return this.#taken && this.#servers.length > 0;
  }

  /** For a line that never came up. Answers false if there are no servers, it was taken before, or the line is up or closed. */
  take(): boolean {
    const isUp: boolean = !['new', 'connecting', 'failed'].includes(this.#line.peer.state);
    if (this.#taken || this.#servers.length === 0 || isUp) return false;
    this.#go();
    return true;
  }

  /** For a line that was up: its network is another one now, or has a firewall. */
  lost(): void {
    this.#world.later(() => {
      if (this.#line.peer.state === 'disconnected') this.#go();
    }, LOST_FOR_MS);
  }

  #go(): void {
    const { peer } = this.#line;
    this.#taken = true;
    if (peer.state === 'closed') return;
    if (!peer.restart(this.#servers)) return void this.#world.later(() => this.#go(), AGAIN_MS);
    // A connection that is closed meanwhile offers nothing more.
    void this.#offer().catch(() => undefined);
  }

  async #offer(): Promise<void> {
    const offer = await this.#line.peer.offer();
    this.#owner.offered(this.#line.connection.send({ type: 'offer', ...offer }));
  }
}
