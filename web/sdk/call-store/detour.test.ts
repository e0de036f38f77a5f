/** A page that finds no way to the media, or loses the one it had; the hub is simulated, and so are time and the browser's side. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakePeerConnection } from '../../test/browser.ts';
import { dice, Hub, Time } from '../../test/hub.ts';
import type { World } from '../connection.ts';
import type { IceServer } from '../protocol.ts';
import { CallStore } from './store.ts';

const SERVER: IceServer = { urls: ['turns:turn.example.com:443?transport=tcp'], username: 'a', credential: 'b' };

/** What a browser says of the way that its media take. */
class RoutedPeerConnection extends FakePeerConnection {
  isRelayed = false;
  override async getStats(): Promise<Map<string, object>> {
    return new Map<string, object>([
      ['t', { type: 'transport', selectedCandidatePairId: 'p' }],
      ['p', { type: 'candidate-pair', localCandidateId: 'l' }],
      ['l', { type: 'local-candidate', candidateType: this.isRelayed ? 'relay' : 'host' }],
    ]);
  }
}

function setUp({ iceServers = [SERVER] }: { iceServers?: readonly IceServer[] } = {}) {
  const time = new Time();
  const hub = new Hub(time);
  hub.iceServers = iceServers;
  const world: World = { open: hub.open, random: dice(1), now: () => time.now, later: time.later };
  const store = new CallStore({ url: 'ws://hub/v1/ws', token: async () => 'token', name: 'Ada', world });
  const pass = async (ms: number): Promise<void> => {
    for (let step = 0; step < ms; step += 10) {
      if (step % 500 === 0) hub.write({ type: 'ping' });
      time.run(Math.min(10, ms - step));
      await new Promise((kept) => setImmediate(kept));
    }
  };
  const offers = (): number => hub.heard.filter(({ type }) => type === 'offer').length;
  const newest = (): RoutedPeerConnection => FakePeerConnection.made.at(-1) as RoutedPeerConnection;
  const become = async (state: RTCPeerConnectionState): Promise<void> => {
    newest().become(state);
    await pass(20);
  };
  return { hub, store, pass, offers, newest, become };
}

beforeEach(() => {
  FakePeerConnection.made = [];
  vi.stubGlobal('RTCPeerConnection', RoutedPeerConnection);
});
afterEach(() => vi.unstubAllGlobals());

describe('a page behind a firewall', () => {
  test('looks for a way through TLS once nothing else got through for 3 s, on the same connection', async () => {
    const { store, pass, offers, newest } = setUp();
    store.dispatch({ ask: 'join' });
    await pass(2_900);
    expect([offers(), newest().iceServers]).toEqual([0, []]);
    await pass(200);
    expect([offers(), newest().restarts, newest().iceServers]).toEqual([1, 1, [SERVER]]);
    await pass(20_000);
    expect([offers(), FakePeerConnection.made.length]).toEqual([1, 1]);
  });

  test('does so at once when its browser has given up', async () => {
    const { store, pass, offers, become } = setUp();
    store.dispatch({ ask: 'join' });
    await pass(500);
    await become('failed');
    expect([offers(), FakePeerConnection.made.length]).toEqual([1, 1]);
    await become('failed');
    await pass(1_000);
    expect(FakePeerConnection.made.length, 'then there is no way').toBe(2);
  });

  test('does not wait again when its call is joined anew', async () => {
    const { hub, store, pass, newest, become } = setUp();
    store.dispatch({ ask: 'join' });
    await pass(3_100);
    newest().isRelayed = true;
    await become('connected');
    hub.say({ type: 'media_lost' });
    await pass(1_000);
    expect([FakePeerConnection.made.length, newest().iceServers, newest().restarts]).toEqual([2, [SERVER], 0]);
    newest().isRelayed = true;
    await become('connected');
    hub.say({ type: 'media_lost' });
    await pass(1_000);
    expect([FakePeerConnection.made.length, newest().iceServers], 'nor the time after').toEqual([3, [SERVER]]);
  });

  test('asks another node for its own way', async () => {
    const { hub, store, pass, newest, become } = setUp();
    store.dispatch({ ask: 'join' });
    await pass(3_100);
    newest().isRelayed = true;
    await become('connected');
    const other: IceServer = { ...SERVER, urls: ['turns:other.example.com:443?transport=tcp'] };
    hub.iceServers = [other];
    hub.say({ type: 'media_lost' });
    await pass(1_000);
    expect([FakePeerConnection.made.length, newest().iceServers, newest().restarts]).toEqual([2, [other], 1]);
  });

  test('whose browser knows no new ways on an old connection has them from the start on the next', async () => {
    const { store, pass, newest, become } = setUp();
    store.dispatch({ ask: 'join' });
    await pass(3_100);
    await become('failed');
    await pass(1_000);
    expect([FakePeerConnection.made.length, newest().iceServers, newest().restarts]).toEqual([2, [SERVER], 0]);
  });
});

describe('a page that needs no way round', () => {
  test('does not ask for one', async () => {
    const { store, pass, offers, newest, become } = setUp();
    store.dispatch({ ask: 'join' });
    await pass(100);
    await become('connected');
    await pass(10_000);
    expect([offers(), newest().iceServers]).toEqual([0, []]);
  });

  test('and whose hub has none waits for its browser', async () => {
    const { store, pass, offers } = setUp({ iceServers: [] });
    store.dispatch({ ask: 'join' });
    await pass(10_000);
    expect(offers()).toBe(0);
  });
});

describe('a line that is lost', () => {
  test.each<[string, readonly IceServer[]]>([
    ['by all ways', [SERVER]],
    ['by the ways that there are', []],
  ])('looks for another after a second, %s', async (_how, iceServers) => {
    const { store, pass, offers, newest, become } = setUp({ iceServers });
    store.dispatch({ ask: 'join' });
    await pass(100);
    await become('connected');
    await become('disconnected');
    await pass(900);
    expect(offers()).toBe(0);
    await pass(200);
    expect([offers(), newest().restarts, newest().iceServers]).toEqual([1, 1, iceServers]);
    await become('connected');
    await pass(20_000);
    expect([offers(), FakePeerConnection.made.length], 'it has found one').toEqual([1, 1]);
  });

  test('that only stuttered is left alone', async () => {
    const { store, pass, offers, become } = setUp();
    store.dispatch({ ask: 'join' });
    await pass(100);
    await become('connected');
    await become('disconnected');
    await pass(500);
    await become('connected');
    await pass(5_000);
    expect(offers()).toBe(0);
  });
});
