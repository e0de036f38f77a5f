import { describe, expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';
import { dice, Hub, Time } from '../test/hub.ts';
import { Connection, type Listener, type Over, type World } from './connection.ts';
import type { ClientEvent, ServerEvent } from './protocol.ts';
import { Session } from './session.ts';

const rename = (name: string): ClientEvent => ({ type: 'rename', name });

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
