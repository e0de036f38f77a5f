import { backoffMs } from './backoff.ts';
import {
  readServerEvent,
  readServerFrame,
  SUBPROTOCOL,
  type ClientEvent,
  type ClientFrame,
  type Joined,
  type Refused,
  type SendLine,
  type ServerEvent,
  type ServerFrame,
} from './protocol.ts';
import { Session } from './session.ts';

/** The part of a WebSocket that a connection uses. */
export type Socket = Pick<WebSocket, 'send' | 'close' | 'onopen' | 'onmessage' | 'onclose' | 'readyState'>;

/** What a connection takes from the world; tests bring their own. */
export interface World {
  readonly open: (url: string, subprotocol: string) => Socket;
  readonly random: () => number;
  readonly now: () => number;
  readonly later: (run: () => void, ms: number) => () => void;
}

/** What the page offers when it joins. */
export interface JoinRequest {
  readonly token: string;
  readonly offer: string;
  readonly sends: readonly SendLine[];
  readonly name?: string;
}

/** What the page offers when it comes back after a lost call: the secret of the session that it had in place of a token. */
export type RejoinRequest = Omit<JoinRequest, 'token' | 'name'> & { readonly resume: string };

/** What a connection tells its owner. */
export interface Listener {
  joined(frame: Joined): void;
  event(event: ServerEvent): void;
  /** The socket is gone and another one is tried. */
  reconnecting(attempt: number): void;
  /** The session goes on; nothing was lost. */
  resumed(): void;
  /** Nothing more will come. */
  over(why: Over): void;
}

export type Over =
  | { readonly why: 'refused'; readonly refusal: Refused }
  /** The session could not be resumed in time; the page may join anew. */
  | { readonly why: 'expired' }
  /** The hub never answered. */
  | { readonly why: 'unreachable' }
  | { readonly why: 'left' };

const OPEN = 1;
/** Refusals that end a session but not the call: the page joins anew. */
const LOST_SESSION: readonly string[] = ['resume_expired', 'too_slow', 'bad_sequence'];
/** Arrived events are acknowledged together, this much later at the latest. */
const ACK_WITHIN_MS = 100;
/** How long the hub may take to answer the first frame. */
const ANSWER_WITHIN_MS = 10_000;
/** How often a first join is tried before the page says that the hub cannot be reached. */
const FIRST_ATTEMPTS_MAX = 4;

export const browserWorld: World = {
  open: (url, subprotocol) => new WebSocket(url, subprotocol),
  random: () => Math.random(),
  now: () => performance.now(),
  later: (run, ms) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

type Phase =
  | { readonly is: 'joining'; readonly attempt: number }
  | { readonly is: 'open' }
  | { readonly is: 'away'; readonly since: number; readonly attempt: number }
  | { readonly is: 'over' };

/** One session with the hub over as many sockets as it takes. */
export class Connection {
  readonly #url: string;
  readonly #listener: Listener;
  readonly #world: World;
  readonly #session = new Session();
  #phase: Phase = { is: 'joining', attempt: 0 };
  #request: JoinRequest | RejoinRequest | undefined;
  #joined: Joined | undefined;
  #socket: Socket | undefined;
  #heardAt = 0;
  #cancelSilence: () => void = () => {};
  #cancelRetry: () => void = () => {};
  #ackDue = false;
  #leaving = false;

  /** Opens the socket at once; the first frame goes out when both it and the join request are there. */
  constructor(url: string, listener: Listener, world: World = browserWorld) {
    this.#url = url;
    this.#listener = listener;
    this.#world = world;
    this.#connect();
  }

  /** Enters the lobby. */
  join(request: JoinRequest | RejoinRequest): void {
    this.#request = request;
    this.#greet();
  }

  /** Sends an event, now or when the socket is back. Answers its number. */
  send(event: ClientEvent): number {
    const frame = this.#session.send(event);
    if (this.#phase.is === 'open') this.#write(frame);
    return frame.seq;
  }

  /** Hangs up: says so if it can, and ends either way. */
  leave(): void {
    if (this.#phase.is === 'over') return;
    this.#leaving = true;
    if (this.#phase.is === 'open') this.send({ type: 'leave' });
    this.#finish({ why: 'left' });
  }

  /** Ends without a word to the hub: the session's secret still lets the page back in. */
  abandon(): void {
    this.#leaving = true;
    this.#finish({ why: 'left' });
  }

  /** Tries again now instead of later: the network has come back. */
  retryNow(): void {
    if (this.#phase.is !== 'away' || this.#socket) return;
    this.#cancelRetry();
    this.#connect();
  }

  /** Drops the socket as a broken network would; the session goes on. For tests. */
  dropSocket(): void {
    this.#lost();
  }

  #connect(): void {
    const socket: Socket = this.#world.open(this.#url, SUBPROTOCOL);
    this.#socket = socket;
    this.#heardAt = this.#world.now();
    this.#watchSilence(ANSWER_WITHIN_MS);
    socket.onopen = () => this.#greet();
    socket.onmessage = (message: MessageEvent) => {
      if (socket === this.#socket) this.#hear(String(message.data));
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
  }

  #greet(): void {
    if (this.#socket?.readyState !== OPEN) return;
    if (this.#joined) {
      this.#write({ type: 'resume', resume: this.#joined.resume, received: this.#session.received });
    } else if (this.#request) {
      this.#heardAt = this.#world.now();
      this.#write('resume' in this.#request ? { type: 'rejoin', ...this.#request } : { type: 'join', ...this.#request });
    }
  }

  #hear(json: string): void {
    this.#heardAt = this.#world.now();
    const frame: ServerFrame | undefined = readServerFrame(json);
    if (frame) this.#handle(frame);
  }

  #handle(frame: ServerFrame): void {
    switch (frame.type) {
      case 'joined':
        this.#joined = frame;
        this.#phase = { is: 'open' };
        this.#watchSilence(2 * frame.heartbeat_ms);
        this.#listener.joined(frame);
        return this.#writeAll(this.#session.resumed(0));
      case 'resumed':
        this.#phase = { is: 'open' };
        this.#watchSilence(2 * (this.#joined?.heartbeat_ms ?? ANSWER_WITHIN_MS));
        this.#writeAll(this.#session.resumed(frame.received));
        return this.#listener.resumed();
      case 'refused':
        return this.#refused(frame);
      case 'event':
        return this.#arrive(frame.seq, readServerEvent(frame.body));
      case 'ack':
        return this.#session.acknowledged(frame.seq);
      case 'ping':
        return this.#write({ type: 'pong' });
    }
  }

  #refused(frame: Refused): void {
    if (this.#joined && LOST_SESSION.includes(frame.code)) return this.#finish({ why: 'expired' });
    // A hub that is busy or without its database while we are in a call will take the session back later.
    const passing: boolean = frame.code === 'overloaded' || frame.code === 'unavailable';
    if (this.#joined && passing) return this.#lost();
    this.#finish({ why: 'refused', refusal: frame });
  }

  #arrive(seq: number, event: ServerEvent | undefined): void {
    const judged = this.#session.arrived(seq);
    if (judged === 'gap') return this.#lost();
    this.#ackSoon();
    if (judged === 'new' && event) this.#listener.event(event);
  }

  #ackSoon(): void {
    if (this.#ackDue) return;
    this.#ackDue = true;
    this.#world.later(() => {
      this.#ackDue = false;
      if (this.#phase.is === 'open') this.#write({ type: 'ack', seq: this.#session.received });
    }, ACK_WITHIN_MS);
  }

  #watchSilence(limitMs: number): void {
    this.#cancelSilence();
    const check = (): void => {
      const silentMs: number = this.#world.now() - this.#heardAt;
      // Before the join request there is nothing the hub could answer.
      const waiting: boolean = this.#joined === undefined && this.#request === undefined;
      if (silentMs >= limitMs && !waiting) return this.#lost();
      this.#cancelSilence = this.#world.later(check, Math.max(50, limitMs - silentMs));
    };
    this.#cancelSilence = this.#world.later(check, limitMs);
  }

  #lost(): void {
    if (this.#phase.is === 'over') return;
    this.#drop();
    const attempt: number = this.#phase.is === 'open' ? 0 : this.#phase.attempt + 1;
    if (!this.#joined) {
      if (attempt >= FIRST_ATTEMPTS_MAX) return this.#finish({ why: 'unreachable' });
      this.#phase = { is: 'joining', attempt };
    } else {
      const since: number = this.#phase.is === 'away' ? this.#phase.since : this.#world.now();
      if (this.#world.now() - since > this.#joined.resume_within_ms) return this.#finish({ why: 'expired' });
      this.#phase = { is: 'away', since, attempt };
    }
    this.#listener.reconnecting(attempt);
    this.#cancelRetry = this.#world.later(() => this.#connect(), backoffMs(attempt, this.#world.random));
  }

  #drop(): void {
    this.#cancelSilence();
    this.#cancelRetry();
    const socket: Socket | undefined = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #finish(over: Over): void {
    if (this.#phase.is === 'over') return;
    this.#phase = { is: 'over' };
    this.#drop();
    this.#listener.over(this.#leaving ? { why: 'left' } : over);
  }

  #writeAll(frames: readonly ClientFrame[]): void {
    for (const frame of frames) this.#write(frame);
  }

  #write(frame: ClientFrame): void {
    if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(frame));
  }
}
