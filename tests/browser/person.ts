/** A participant of a call, as the stories know one: by what the probe in their page has seen, whatever browser shows it. */
import type { Moments, Seen } from './probe.ts';
import { until } from './service.ts';

export abstract class Person {
  readonly name: string;

  protected constructor(name: string) {
    this.name = name;
  }

  /** What a function answers that runs inside the page; it must stand alone. */
  abstract ask<Answer>(question: () => Answer | Promise<Answer>): Promise<Answer>;

  /** Presses the button with such a name. */
  abstract press(name: RegExp): Promise<void>;

  async enter(): Promise<void> {
    await this.press(/^join/i);
    await until(`${this.name} to be in the call`, 30_000, async () => (await this.moments()).entered);
  }

  /** The lobby is connected: the click needs one message only. */
  async ready(): Promise<void> {
    await until(`${this.name}'s media connection in the lobby`, 30_000, async () => (await this.moments()).connected);
  }

  async leave(): Promise<void> {
    await this.press(/leave|hang up/i);
    await until(`${this.name} to have left`, 10_000, async () => (await this.moments()).leaveSent);
  }

  moments(): Promise<Moments> {
    return this.ask(() => window.probe.moments);
  }

  seen(): Promise<Seen> {
    return this.ask(() => window.probe.seen());
  }

  /** Types of the server's events so far. */
  events(): Promise<string[]> {
    return this.ask(() => window.probe.frames.filter(({ out, event }) => !out && event !== '').map(({ event }) => event));
  }

  /** Waits until pictures of `others` people come in. */
  async sees(others: number, limitMs = 20_000): Promise<void> {
    await until(`${this.name} to see ${others} others`, limitMs, async () => (await this.seen()).pictures >= others);
  }

  /** Waits until frames are decoded and sound has energy, more than `before`. */
  async seesAndHears(before: Seen, limitMs = 20_000): Promise<Seen> {
    return until(`${this.name} to see and hear`, limitMs, async () => {
      const now: Seen = await this.seen();
      return now.framesDecoded > before.framesDecoded + 10 && now.totalAudioEnergy > before.totalAudioEnergy && now;
    });
  }
}
