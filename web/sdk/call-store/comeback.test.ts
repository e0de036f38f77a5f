/** A call whose media are lost, between a simulated hub and a browser's peer connection of which only the outside is there. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakePeerConnection, FakeTrack } from '../../test/browser.ts';
import { dice, Hub, Time } from '../../test/hub.ts';
import type { World } from '../connection.ts';
import { ApiError } from '../http.ts';
import type { Devices } from '../local-media.ts';
import type { ClientFrame, ServerEvent } from '../protocol.ts';
import type { CallState } from './state.ts';
import { CallStore } from './store.ts';

const stream = (...tracks: readonly FakeTrack[]): object => ({
  getTracks: () => tracks,
  getAudioTracks: () => tracks.filter(({ label }) => label === 'mic'),
  getVideoTracks: () => tracks.filter(({ label }) => label !== 'mic'),
});

function setUp() {
  const time = new Time();
  const hub = new Hub(time);
  const world: World = { open: hub.open, random: dice(1), now: () => time.now, later: time.later };
  const tracks = { mic: new FakeTrack('mic'), cam: new FakeTrack('cam'), screen: new FakeTrack('screen') };
  const devices = {
    getUserMedia: async () => stream(tracks.mic, tracks.cam),
    getDisplayMedia: async () => stream(tracks.screen),
    enumerateDevices: async () => [],
  } as unknown as Devices;
  const token: { given: number; problem?: ApiError } = { given: 0 };
  const issue = async (): Promise<string> => {
    if (token.problem) throw token.problem;
    return `token ${++token.given}`;
  };
  const store = new CallStore({ url: 'ws://hub/v1/ws', token: issue, name: 'Ada', devices, world });
  /** The hub pings, and promises are kept in between, as in a browser. */
  const pass = async (ms: number): Promise<void> => {
    for (let step = 0; step < ms; step += 10) {
      if (step % 500 === 0) hub.write({ type: 'ping' });
      time.run(Math.min(10, ms - step));
      await new Promise((kept) => setImmediate(kept));
    }
  };
  const firsts = (): readonly ClientFrame[] => hub.frames.filter(({ type }) => type === 'join' || type === 'rejoin');
  const entered: ServerEvent = { type: 'entered', call_id: 'call' };
  const enters = (): readonly object[] => hub.heard.filter(({ type }) => type === 'enter');
  const call = async (): Promise<void> => {
    store.dispatch({ ask: 'join' });
    store.dispatch({ ask: 'open-both' });
    await pass(50);
    store.dispatch({ ask: 'enter' });
    await pass(50);
    hub.say(entered);
    FakePeerConnection.made.at(-1)!.become('connected');
    await pass(20_000);
  };
  return { time, hub, store, tracks, pass, firsts, enters, entered, call, token, link: () => linkOf(store.getState()) };
}

function linkOf(state: CallState): string {
  return state.phase === 'live' || state.phase === 'lobby' ? `${state.phase} ${state.link.is}` : state.phase;
}

beforeEach(() => {
  FakePeerConnection.made = [];
  vi.stubGlobal('RTCPeerConnection', FakePeerConnection);
});
afterEach(() => vi.unstubAllGlobals());

describe('a lost call', () => {
  test.each<[string, ServerEvent]>([
    ['media are lost', { type: 'media_lost' }],
    ['the room was given up', { type: 'closed', reason: 'lost' }],
  ])('is joined again within a second, without a click and without a token, when %s', async (_when, event) => {
    const { hub, store, tracks, pass, firsts, enters, entered, call, link } = setUp();
    await call();
    store.dispatch({ ask: 'toggle', source: 'microphone' });
    store.dispatch({ ask: 'toggle', source: 'screen' });
    await pass(100);
    hub.say(event);
    await pass(50);
    expect(link()).toBe('live rejoining');
    await pass(950);
    const [before, now] = FakePeerConnection.made;
    expect(firsts()).toMatchObject([{ type: 'join', token: 'token 1' }, { type: 'rejoin', resume: 'secret 1', offer: 'offer 2 a=setup:passive' }]);
    expect(enters()).toEqual([
      { type: 'enter', name: 'Ada', muted: ['screen_audio', 'screen'] },
      { type: 'enter', name: 'Ada', muted: ['microphone', 'screen_audio'] },
    ]);
    expect(before!.connectionState).toBe('closed');
    expect(now!.sends).toEqual(['mic', 'cam', 'screen', undefined]);
    expect(tracks).toMatchObject({ mic: { stopped: false, enabled: false }, cam: { stopped: false }, screen: { stopped: false } });
    hub.say(entered);
    now!.become('connected');
    await pass(40_000);
    expect(link()).toBe('live open');
    expect(FakePeerConnection.made).toHaveLength(2);
  });

  test('whose connection broke on our side is joined again without leaving it first', async () => {
    const { hub, pass, firsts, call, link } = setUp();
    await call();
    FakePeerConnection.made[0]!.become('failed');
    await pass(1000);
    expect(hub.heard.map(({ type }) => type)).not.toContain('leave');
    expect(firsts()).toHaveLength(2);
    expect(link()).toBe('live open');
  });

  test('that never connected is joined again with the handshake begun by us', async () => {
    const { hub, store, pass, firsts, link } = setUp();
    store.dispatch({ ask: 'join' });
    await pass(50);
    hub.say({ type: 'media_lost' });
    await pass(1000);
    expect(firsts()).toMatchObject([{ offer: 'offer 1 a=setup:passive' }, { type: 'rejoin', offer: 'offer 2 a=setup:active' }]);
    expect(link()).toBe('lobby open');
  });

  test('whose service stumbles over the token is tried again, and given up when it says no', async () => {
    const { hub, store, pass, call, link, token } = setUp();
    await call();
    hub.refuses = ({ type }) => (type === 'rejoin' ? { code: 'resume_expired' } : undefined);
    token.problem = new ApiError({ code: 'http_502', status: 502, title: 'Bad gateway', detail: 'No.' });
    hub.say({ type: 'media_lost' });
    await pass(5000);
    expect(link()).toBe('live rejoining');
    token.problem = new ApiError({ code: 'not_found', status: 404, title: 'No such room', detail: 'No.' });
    await pass(5000);
    expect(store.getState()).toMatchObject({ phase: 'failed', problem: { title: 'No such room' } });
  });

  test('that the hub does not know any more is joined with a token', async () => {
    const { hub, pass, firsts, call, link } = setUp();
    await call();
    hub.refuses = ({ type }) => (type === 'rejoin' ? { code: 'resume_expired' } : undefined);
    hub.say({ type: 'media_lost' });
    await pass(2000);
    expect(firsts().map(({ type }) => type)).toEqual(['join', 'rejoin', 'join']);
    expect(link()).toBe('live open');
  });

  test('is tried again while the service has no place, and comes back when it has', async () => {
    const { hub, pass, firsts, call, link } = setUp();
    await call();
    hub.refuses = () => ({ code: 'overloaded', retry_after_ms: 2000 });
    hub.say({ type: 'media_lost' });
    await pass(10_000);
    expect(link()).toBe('live rejoining');
    expect(firsts().length).toBeGreaterThan(2);
    expect(firsts().length).toBeLessThan(7);
    hub.refuses = () => undefined;
    await pass(6000);
    expect(link()).toBe('live open');
  });

  test.each<[string, (hub: Hub) => void]>([
    ['cannot be reached', (hub) => (hub.reachable = false)],
    ['says nothing', (hub) => (hub.silent = true)],
  ])('ends when the window has passed and the hub %s', async (_what, breaks) => {
    const { hub, store, tracks, pass, call, link } = setUp();
    await call();
    hub.say({ type: 'media_lost' });
    await pass(50);
    breaks(hub);
    // The simulated hub's window is 20 s.
    await pass(10_000);
    expect(link()).toBe('live rejoining');
    await pass(10_000);
    expect(store.getState()).toMatchObject({ phase: 'ended', reason: 'lost' });
    expect(tracks).toMatchObject({ mic: { stopped: true }, cam: { stopped: true } });
    const sockets: number = hub.sockets;
    await pass(60_000);
    expect(hub.sockets).toBe(sockets);
  });

  test('comes back at once when the browser says that the network is back', async () => {
    const { hub, store, pass, call, link } = setUp();
    await call();
    hub.reachable = false;
    hub.say({ type: 'media_lost' });
    await pass(12_000);
    expect(link()).toBe('live rejoining');
    hub.reachable = true;
    const sockets: number = hub.sockets;
    store.sources.networkIsBack();
    await pass(50);
    expect(hub.sockets).toBe(sockets + 1);
    expect(link()).toBe('live open');
  });

  test('that is lost again and again is given up', async () => {
    const { hub, store, pass, call } = setUp();
    await call();
    let lost = 0;
    for (; store.getState().phase === 'live' && lost < 100; lost++) {
      hub.say({ type: 'media_lost' });
      await pass(300);
      FakePeerConnection.made.at(-1)!.become('connected');
      await pass(500);
    }
    expect(store.getState()).toMatchObject({ phase: 'ended', reason: 'lost' });
    expect(FakePeerConnection.made.length).toBeLessThan(15);
  });

  test.each(['removed', 'replaced', 'shutting_down'] as const)('is not joined again when its page was %s', async (reason) => {
    const { hub, store, pass, firsts, call } = setUp();
    await call();
    hub.say({ type: 'closed', reason });
    await pass(60_000);
    expect(store.getState()).toMatchObject({ phase: 'ended', reason });
    expect(firsts()).toHaveLength(1);
  });

  test('is left for good by whoever hangs up meanwhile', async () => {
    const { hub, store, pass, firsts, call } = setUp();
    await call();
    hub.say({ type: 'media_lost' });
    await pass(20);
    store.dispatch({ ask: 'leave' });
    await pass(60_000);
    expect(store.getState()).toMatchObject({ phase: 'ended', reason: 'left' });
    expect(firsts()).toHaveLength(1);
  });
});

describe('somebody else who comes back', () => {
  test('is asked for again: a view does not name who was not there', async () => {
    const { hub, store, pass, call } = setUp();
    await call();
    const bob = { participant_id: 'bob', leg_id: 'leg 1', name: 'Bob', tracks: [{ source: 'camera', muted: false }] } as const;
    hub.say({ type: 'participant_joined', participant: bob });
    await pass(20);
    const wants = [{ participant_id: 'bob', source: 'camera', width: 640, height: 360 }] as const;
    store.sources.view(wants);
    store.sources.view(wants);
    const views = (): readonly object[] => hub.heard.filter(({ type }) => type === 'view');
    await pass(20);
    expect(views()).toEqual([{ type: 'view', wants }]);
    // Over another connection: what the page shows is the same, and so is what it says of that.
    hub.say({ type: 'participant_left', participant_id: 'bob', reason: 'replaced' });
    hub.say({ type: 'participant_joined', participant: { ...bob, leg_id: 'leg 2' } });
    await pass(20);
    store.sources.view(wants);
    await pass(20);
    expect(views()).toEqual([{ type: 'view', wants }, { type: 'view', wants }]);
  });
});
