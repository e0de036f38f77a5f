import { backoffMs } from './backoff.ts';

/** A call must have held for so long that its next loss is another matter. */
const HELD_MS = 10_000;

/**
 * How a lost call is joined again: almost at once, then ever later, until the window has passed. A call that is back and lost
 * again within seconds has not come back: the window goes on. Pure.
 */
export class Comeback {
  #lostAt: number | undefined;
  #heldSince: number | undefined;
  #attempt = 0;

  /** Media flow. */
  held(nowMs: number): void {
    this.#heldSince = nowMs;
  }

  /** The call is lost, or an attempt has failed. Answers how long to wait before the next one; `undefined` when the window has passed. */
  next(nowMs: number, windowMs: number, random: () => number, atLeastMs: number = 0): number | undefined {
    const held: boolean = this.#heldSince !== undefined && nowMs - this.#heldSince >= HELD_MS;
    if (held || this.#lostAt === undefined) {
      this.#lostAt = nowMs;
      this.#attempt = 0;
    }
    this.#heldSince = undefined;
    const waitMs: number = Math.max(atLeastMs, backoffMs(this.#attempt++, random));
    return waitMs < this.leftMs(nowMs, windowMs) ? waitMs : undefined;
  }

  /** How much of the window is left. */
  leftMs(nowMs: number, windowMs: number): number {
    return (this.#lostAt ?? nowMs) + windowMs - nowMs;
  }
}
