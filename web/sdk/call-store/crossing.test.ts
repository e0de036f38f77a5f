/** A call that goes over to another media node, between two simulated nodes of a hub and the outside of a browser's connections. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakePeerConnection, FakeTrack } from '../../test/browser.ts';
import { dice, Hub, Time } from '../../test/hub.ts';
import type { World } from '../connection.ts';
import type { Devices } from '../local-media.ts';
import type { CallState } from './state.ts';
import { CallStore } from './store.ts';

const CALL = 'call';

function setUp() {
  const time = new Time();
  // One session each: the first line, the one that the call goes over to, and one after that.
  const hubs: readonly Hub[] = [new Hub(time), new Hub(time), new Hub(time)];
  let sockets = 0;
  const world: World = { open: () => hubs[sockets++]!.open(), random: dice(1), now: () => time.now, later: time.later };
  const [mic, cam] = [new FakeTrack('mic'), new FakeTrack('cam')];
  const stream = { getTracks: () => [mic, cam], getAudioTracks: () => [mic], getVideoTracks: () => [cam] };
  const devices = { getUserMedia: async () => stream, enumerateDevices: async () => [] } as unknown as Devices;
  const store = new CallStore({ url: 'ws://hub/v1/ws', token: async () => 'token', name: 'Ada', devices, world });
  const links: string[] = [];
  store.subscribe((state) => {
    const now: string = linkOf(state);
    if (links.at(-1) !== now) links.push(now);
  });
  const pass = async (ms: number): Promise<void> => {
    for (let step = 0; step < ms; step += 10) {
      if (step % 500 === 0) for (const hub of hubs) hub.write({ type: 'ping' });
      time.run(Math.min(10, ms - step));
      await new Promise((kept) => setImmediate(kept));
    }
  };
  const [first, second, third] = hubs as [Hub, Hub, Hub];
  const call = async (): Promise<void> => {
    store.dispatch({ ask: 'join' });
    store.dispatch({ ask: 'open-both' });
    await pass(50);
    store.dispatch({ ask: 'enter' });
    await pass(50);
    first.say({ type: 'entered', call_id: CALL });
    FakePeerConnection.made[0]!.become('connected');
    await pass(20_000);
    links.splice(0, links.length, 'live open');
  };
  /** Up to where the page waits for the others. */
  const ready = async (): Promise<void> => {
    first.say({ type: 'move', within_ms: 10_000 });
    await pass(100);
    FakePeerConnection.made[1]!.become('connected');
    await pass(100);
  };
  const says = (hub: Hub): readonly string[] => hub.heard.map(({ type }) => type);
  return { first, second, third, store, pass, call, ready, links, peers: () => FakePeerConnection.made, says };
}

function linkOf(state: CallState): string {
  return state.phase === 'live' || state.phase === 'lobby' ? `${state.phase} ${state.link.is}` : state.phase;
}

beforeEach(() => {
  FakePeerConnection.made = [];
  vi.stubGlobal('RTCPeerConnection', FakePeerConnection);
});
afterEach(() => vi.unstubAllGlobals());

describe('a call that goes over to another media node', () => {
  test('makes a second connection while the first goes on, and says when it is ready', async () => {
    const { first, second, call, ready, peers, says, links } = setUp();
    await call();
    await ready();
    expect(second.frames[0]).toMatchObject({ type: 'rejoin', resume: 'secret 1' });
    expect(says(second)).toEqual(['enter']);
    expect(peers()[0]!.sends.slice(0, 2)).toEqual(['mic', 'cam']);
    expect(peers()[1]!.sends.slice(0, 2), 'encoders start before anybody sees it').toEqual(['mic', 'cam']);
    expect(first.heard.some(({ type }) => type === 'leave')).toBe(false);
    expect(links).toEqual(['live open']);
  });

  test('sends over both when everybody is let over, shows the new one soon, and keeps the first until the hub ends it', async () => {
    const { first, second, store, call, ready, pass, peers, links } = setUp();
    await call();
    await ready();
    second.say({ type: 'entered', call_id: CALL });
    await pass(50);
    expect(peers()[0]!.sends.slice(0, 2)).toEqual(['mic', 'cam']);
    expect(peers()[1]!.sends.slice(0, 2)).toEqual(['mic', 'cam']);
    const tracks = (): readonly string[] => (store.getState() as { others: readonly { name: string }[] }).others.map(({ name }) => name);
    second.say({ type: 'participant_joined', participant: { participant_id: 'ben', leg_id: 'second', name: 'Ben', tracks: [] } });
    await pass(50);
    expect(tracks(), 'the page still listens to its first line').toEqual([]);
    await pass(300);
    expect(tracks()).toEqual(['Ben']);
    expect(peers()[0]!.connectionState).not.toBe('closed');
    first.say({ type: 'closed', reason: 'replaced' });
    await pass(50);
    expect(peers()[0]!.connectionState).toBe('closed');
    expect(peers()[1]!.connectionState).toBe('connected');
    expect(links, 'nobody sees that anything happened').toEqual(['live open']);
  });

  test('tells over the new line what was turned off meanwhile', async () => {
    const { second, store, call, ready, pass } = setUp();
    await call();
    await ready();
    store.dispatch({ ask: 'toggle', source: 'microphone' });
    await pass(50);
    second.say({ type: 'entered', call_id: CALL });
    await pass(500);
    expect(second.heard.filter(({ type }) => type === 'mute')).toEqual([{ type: 'mute', source: 'microphone', muted: true }]);
  });

  test('goes over when the first line ends, whether pictures have come or not', async () => {
    const { first, second, call, ready, pass, peers, links } = setUp();
    await call();
    await ready();
    first.say({ type: 'closed', reason: 'replaced' });
    await pass(50);
    second.say({ type: 'entered', call_id: CALL });
    await pass(20);
    expect(links).toEqual(['live open']);
    await pass(6_000);
    expect(peers()[0]!.connectionState).toBe('closed');
    expect(peers()[1]!.connectionState).toBe('connected');
  });

  test.each<[string, (scene: ReturnType<typeof setUp>) => void]>([
    ['the hub refuses it', ({ second }) => (second.refuses = () => ({ code: 'overloaded', retry_after_ms: 1000 }))],
    ['its media never connect', () => {}],
  ])('goes on over the first line when the second one fails: %s', async (_why, hinder) => {
    const scene = setUp();
    const { first, call, pass, peers, links } = scene;
    await call();
    hinder(scene);
    first.say({ type: 'move', within_ms: 10_000 });
    await pass(11_000);
    expect(links).toEqual(['live open']);
    expect(peers()[0]!.connectionState).toBe('connected');
    expect(peers()[1]!.connectionState).toBe('closed');
  });

  test('tries again when the hub says when', async () => {
    const { first, second, third, call, pass } = setUp();
    await call();
    second.refuses = () => ({ code: 'overloaded', retry_after_ms: 1000 });
    first.say({ type: 'move', within_ms: 10_000 });
    await pass(500);
    expect(third.frames).toEqual([]);
    await pass(1_000);
    expect(third.frames[0]).toMatchObject({ type: 'rejoin', resume: 'secret 1' });
  });

  test('joins again as after any loss when the first line is lost before', async () => {
    const { first, second, third, call, ready, pass, links } = setUp();
    await call();
    await ready();
    first.say({ type: 'media_lost' });
    await pass(1_000);
    expect(links[1]).toBe('live rejoining');
    expect(third.frames[0]).toMatchObject({ type: 'rejoin', resume: 'secret 1' });
    second.say({ type: 'entered', call_id: CALL });
    await pass(50);
    expect(third.frames.filter(({ type }) => type === 'rejoin')).toHaveLength(1);
  });

  test('ends with both lines when the person hangs up', async () => {
    const { store, call, ready, pass, peers } = setUp();
    await call();
    await ready();
    store.dispatch({ ask: 'leave' });
    await pass(50);
    expect(store.getState()).toMatchObject({ phase: 'ended', reason: 'left' });
    expect(peers().map(({ connectionState }) => connectionState)).toEqual(['closed', 'closed']);
  });

  test('is over when the same person took over elsewhere', async () => {
    const { first, second, store, call, ready, pass } = setUp();
    await call();
    await ready();
    second.say({ type: 'closed', reason: 'replaced' });
    await pass(50);
    first.say({ type: 'closed', reason: 'replaced' });
    await pass(50);
    expect(store.getState()).toMatchObject({ phase: 'ended', reason: 'replaced' });
  });
});
