import { describe, expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';
import { Connection, type Listener, type Over, type Socket, type World } from './connection.ts';
import type { ClientEvent, ClientFrame, ServerEvent } from './protocol.ts';
import { Session } from './session.ts';

/** A repeatable source of chance (mulberry32). */
function dice(seed: number): () => number {
  let state: number = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed: number = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const rename = (name: string): ClientEvent => ({ type: 'rename', name });

/** Simulated time: nothing happens but by `run`. */
class Time {
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
class Hub {
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

  joined(): void {
    this.write({
      type: 'joined',
      you: { participant_id: 'me', leg_id: 'leg', name: 'Me', may_publish: ['microphone'] },
      room: { room_id: 'room', title: 'Room', participants_max: 8 },
      participants: [],
      answer: 'v=0',
      slots: [],
      resume: 'secret',
      heartbeat_ms: 1000,
      resume_within_ms: 20_000,
    });
  }

  #hear(line: Line, frame: ClientFrame): void {
    this.frames.push(frame);
    if (this.silent) return;
    line.greeted = true;
    if (frame.type === 'join') return this.joined();
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

class Ear implements Listener {
  readonly events: ServerEvent[] = [];
  readonly log: string[] = [];
  over_: Over | undefined;
  joined(): void {
    this.log.push('joined');
  }
  event(event: ServerEvent): void {
    this.events.push(event);
  }
  reconnecting(attempt: number): void {
    this.log.push(`reconnecting ${attempt}`);
  }
  resumed(): void {
    this.log.push('resumed');
  }
  over(why: Over): void {
    this.over_ = why;
  }
}

function setUp(seed = 1, delay?: () => number) {
  const time = new Time();
  const hub = new Hub(time, delay);
  const ear = new Ear();
  const world: World = { open: hub.open, random: dice(seed), now: () => time.now, later: time.later };
  const connection = new Connection('ws://hub/v1/ws', ear, world);
  connection.join({ token: 't', offer: 'o', sends: [] });
  return { time, hub, ear, connection };
}

describe('a session', () => {
  test('numbers from one and forgets what is acknowledged', () => {
    const session = new Session();
    expect([session.send(rename('a')).seq, session.send(rename('b')).seq]).toEqual([1, 2]);
    session.acknowledged(1);
    expect(session.resumed(1).map(({ seq }) => seq)).toEqual([2]);
  });

  test.each([
    [[1, 2, 3], ['new', 'new', 'new']],
    [[1, 1, 2], ['new', 'seen', 'new']],
    [[1, 3, 2], ['new', 'gap', 'new']],
  ])('judges %j as %j', (numbers, judged) => {
    const session = new Session();
    expect(numbers.map((seq) => session.arrived(seq))).toEqual(judged);
  });
});

describe('a connection', () => {
  test('joins with the first frame and sends what was said before', () => {
    const { time, hub, ear, connection } = setUp();
    connection.send({ type: 'enter', muted: [] });
    time.run(50);
    expect(ear.log).toEqual(['joined']);
    expect(hub.frames.map(({ type }) => type)).toEqual(['join', 'event']);
  });

  test.each(Array.from({ length: 200 }, (_, seed) => seed))('loses nothing and hears nothing twice under random cuts (seed %i)', (seed) => {
    const chance = dice(seed);
    const { time, hub, ear, connection } = setUp(seed, () => 1 + Math.floor(chance() * 40));
    time.run(200);
    const said: ClientEvent[] = [];
    for (let step = 0; step < 120; step++) {
      const what: number = chance();
      if (what < 0.4) {
        const event = rename(`page ${step}`);
        said.push(event);
        connection.send(event);
      } else if (what < 0.8) {
        hub.say({ type: 'speakers', participant_ids: [`hub ${step}`] });
      } else if (what < 0.9) {
        hub.cut();
      }
      time.run(Math.floor(chance() * 150));
    }
    time.run(15_000);
    expect(hub.heard).toEqual(said);
    expect(ear.events).toEqual(hub.said);
    expect(ear.over_).toBeUndefined();
  });

  test('acknowledges what arrived within a tenth of a second', () => {
    const { time, hub } = setUp();
    time.run(10);
    hub.say({ type: 'media_lost' });
    hub.say({ type: 'media_lost' });
    time.run(120);
    expect(hub.frames.filter(({ type }) => type === 'ack')).toEqual([{ type: 'ack', seq: 2 }]);
  });

  test('answers a ping, and reconnects when it hears nothing for two heartbeats', () => {
    const { time, hub, ear } = setUp();
    time.run(10);
    hub.write({ type: 'ping' });
    time.run(10);
    expect(hub.frames.at(-1)).toEqual({ type: 'pong' });
    hub.silent = true;
    time.run(2100);
    expect(ear.log).toContain('reconnecting 0');
    hub.silent = false;
    time.run(2000);
    expect(ear.log.at(-1)).toBe('resumed');
  });

  test('gives a session up when it can no longer be resumed', () => {
    const { time, hub, ear } = setUp();
    time.run(10);
    hub.reachable = false;
    hub.cut();
    time.run(60_000);
    expect(ear.over_).toEqual({ why: 'expired' });
  });

  test('says that a hub is unreachable after four tries', () => {
    const time = new Time();
    const hub = new Hub(time);
    hub.reachable = false;
    const ear = new Ear();
    new Connection('ws://hub', ear, { open: hub.open, random: dice(1), now: () => time.now, later: time.later });
    time.run(60_000);
    expect(ear.over_).toEqual({ why: 'unreachable' });
    expect(hub.sockets).toBe(4);
  });

  test('hangs up with a last word', () => {
    const { time, hub, ear, connection } = setUp();
    time.run(10);
    connection.leave();
    expect(ear.over_).toEqual({ why: 'left' });
    time.run(10_000);
    expect(hub.sockets).toBe(1);
  });
});

describe('backoff', () => {
  test('is jittered from the first retry and has a ceiling', () => {
    expect(backoffMs(0, () => 0)).toBe(150);
    expect(backoffMs(0, () => 1)).toBe(300);
    expect(backoffMs(3, () => 1)).toBe(2400);
    expect(backoffMs(30, () => 1)).toBe(8000);
  });
});
