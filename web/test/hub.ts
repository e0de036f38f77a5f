/** A hub, a network and time that are simulated, for tests of the SDK. */
import type { Socket } from '../sdk/connection.ts';
import type { ClientEvent, ClientFrame, IceServer, ServerEvent } from '../sdk/protocol.ts';

/** A repeatable source of chance (mulberry32). */
export function dice(seed: number): () => number {
  let state: number = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed: number = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Simulated time: nothing happens but by `run`. */
export class Time {
  now = 0;
  #timers: { at: number; run: () => void }[] = [];

  later = (run: () => void, ms: number): (() => void) => {
    const timer = { at: this.now + ms, run };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((other) => other !== timer));
  };

  run(ms: number): void {
    const end: number = this.now + ms;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = end;
  }
}

/** One socket: ordered both ways, and gone at once when cut. `greeted` once the hub has answered on it. */
interface Line {
  readonly socket: { -readonly [K in keyof Socket]: Socket[K] };
  up: boolean;
  greeted: boolean;
  lastAt: number;
}

/** The hub's side of one session, and a network that can be cut in both directions at any moment. */
export class Hub {
  readonly heard: ClientEvent[] = [];
  readonly said: ServerEvent[] = [];
  readonly frames: ClientFrame[] = [];
  sockets = 0;
  reachable = true;
  silent = false;
  #time: Time;
  #delay: () => number;
  #line: Line | undefined;
  #sent = 0;
  #acked = 0;
  #received = 0;
  #sessions = 0;
  /** Ways through TLS, if it has any. */
  iceServers: readonly IceServer[] = [];
  /** How it refuses the first frame, if it does. */
  refuses: (first: ClientFrame) => { readonly code: string; readonly retry_after_ms?: number } | undefined = () => undefined;

  constructor(time: Time, delay: () => number = () => 1) {
    this.#time = time;
    this.#delay = delay;
  }

  open = (): Socket => {
    this.sockets++;
    const socket = { readyState: 0, onopen: null, onmessage: null, onclose: null } as unknown as Line['socket'];
    const line: Line = { socket, up: this.reachable, greeted: false, lastAt: 0 };
    socket.send = (json) => this.#carry(line, () => this.#hear(line, JSON.parse(String(json))));
    socket.close = () => void (line.up = false);
    this.#time.later(() => {
      if (!line.up) return socket.onclose?.call(socket as WebSocket, {} as CloseEvent);
      this.#line = line;
      socket.readyState = 1;
      socket.onopen?.call(socket as WebSocket, {} as Event);
    }, this.#delay());
    return socket;
  };

  /** Everything under way is lost; the page learns of it. */
  cut(): void {
    const line = this.#line;
    if (!line?.up) return;
    line.up = false;
    this.#time.later(() => line.socket.onclose?.call(line.socket as WebSocket, {} as CloseEvent), this.#delay());
  }

  say(event: ServerEvent): void {
    this.said.push(event);
    this.#sent++;
    this.write({ type: 'event', seq: this.#sent, body: event });
  }

  write(frame: object): void {
    const line = this.#line;
    if (!line?.greeted || this.silent) return;
    const json: string = JSON.stringify(frame);
    this.#carry(line, () => line.socket.onmessage?.call(line.socket as WebSocket, { data: json } as MessageEvent));
  }

  #carry(line: Line, deliver: () => void): void {
    line.lastAt = Math.max(line.lastAt, this.#time.now + this.#delay());
    this.#time.later(() => line.up && deliver(), line.lastAt - this.#time.now);
  }

  /** Lets a page in: its session begins. */
  joined(): void {
    this.#sent = this.#acked = this.#received = 0;
    this.said.length = 0;
    this.#sessions++;
    this.write({
      type: 'joined',
      you: { participant_id: 'me', leg_id: 'leg', name: 'Me', may_publish: ['microphone'] },
      room: { room_id: 'room', title: 'Room', participants_max: 8 },
      participants: [],
      answer: 'v=0',
      slots: [],
      ...(this.iceServers.length > 0 ? { ice_servers: this.iceServers } : {}),
      resume: `secret ${this.#sessions}`,
      heartbeat_ms: 1000,
      resume_within_ms: 20_000,
    });
  }

  #hear(line: Line, frame: ClientFrame): void {
    this.frames.push(frame);
    if (this.silent) return;
    line.greeted = true;
    const refused = frame.type === 'join' || frame.type === 'rejoin' ? this.refuses(frame) : undefined;
    if (refused) return this.write({ type: 'refused', message: 'No.', ...refused });
    if (frame.type === 'join' || frame.type === 'rejoin') return this.joined();
    if (frame.type === 'ack') this.#acked = Math.max(this.#acked, frame.seq);
    if (frame.type === 'resume') {
      this.#acked = frame.received;
      this.write({ type: 'resumed', received: this.#received });
      this.said.slice(this.#acked).forEach((body, index) => this.write({ type: 'event', seq: this.#acked + index + 1, body }));
    }
    if (frame.type === 'event' && frame.seq === this.#received + 1) {
      this.#received = frame.seq;
      this.heard.push(frame.body);
      this.write({ type: 'ack', seq: frame.seq });
    }
  }
}
