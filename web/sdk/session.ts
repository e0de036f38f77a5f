import type { ClientEvent, ClientFrame } from './protocol.ts';

type EventFrame = Extract<ClientFrame, { type: 'event' }>;

/**
 * The numbers of one session, both ways: what was sent and is not yet acknowledged, and what has arrived.
 * Pure; survives any number of sockets, so that nothing is lost and nothing comes twice.
 */
export class Session {
  #sent = 0;
  #received = 0;
  #unacknowledged: EventFrame[] = [];

  /** The greatest number that has arrived; sent with `resume` and `ack`. */
  get received(): number {
    return this.#received;
  }

  /** How many events the hub has not acknowledged. */
  get pending(): number {
    return this.#unacknowledged.length;
  }

  /** Numbers an event and keeps it until it is acknowledged. */
  send(body: ClientEvent): EventFrame {
    const frame: EventFrame = { type: 'event', seq: ++this.#sent, body };
    this.#unacknowledged.push(frame);
    return frame;
  }

  /** Forgets what has arrived at the hub. */
  acknowledged(seq: number): void {
    this.#unacknowledged = this.#unacknowledged.filter((frame) => frame.seq > seq);
  }

  /** What to send again on a new socket, after the hub said how far it had come. */
  resumed(received: number): readonly EventFrame[] {
    this.acknowledged(received);
    return [...this.#unacknowledged];
  }

  /** Judges an arrived number: `new` is to be handled, `seen` to be dropped, `gap` ends this socket. */
  arrived(seq: number): 'new' | 'seen' | 'gap' {
    if (seq <= this.#received) return 'seen';
    if (seq > this.#received + 1) return 'gap';
    this.#received = seq;
    return 'new';
  }
}
