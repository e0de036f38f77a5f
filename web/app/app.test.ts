import { describe, expect, test } from 'vitest';
import { initial, reduce, type CallState, type Fact, type Live } from '../sdk/call-store/state.ts';
import type { Participant } from '../sdk/protocol.ts';
import { readAddress } from './address.ts';
import { pack } from './layout.ts';
import { arrange, initials, tilesOf, wanted } from './tiles.ts';
import { cleanName, namesOf } from './words.ts';

const person = (id: string, screen = false): Participant => ({
  participant_id: id,
  leg_id: `${id}-leg`,
  name: id.toUpperCase(),
  tracks: [
    { source: 'microphone', muted: false },
    { source: 'camera', muted: false },
    { source: 'screen', muted: !screen },
  ],
});

function call(...others: readonly Participant[]): Live {
  const joined: Fact = {
    fact: 'joined',
    frame: {
      type: 'joined',
      you: { participant_id: 'me', leg_id: 'l', name: 'Me', may_publish: [] },
      room: { room_id: 'r', title: '', participants_max: 8 },
      participants: others,
      answer: '',
      slots: [{ mid: '7', kind: 'video', seat: 0 }],
      resume: '',
      heartbeat_ms: 1,
      resume_within_ms: 1,
    },
  };
  const state: CallState = [joined, { fact: 'event', event: { type: 'entered', call_id: 'c' } } as Fact].reduce(reduce, initial);
  if (state.phase !== 'live') throw new Error('not live');
  return state;
}

describe('packing', () => {
  test.each([
    [1, 1600, 900, 1],
    [2, 1600, 900, 2],
    [4, 1600, 900, 2],
    [9, 1600, 900, 3],
    [26, 1600, 900, 5],
    [3, 360, 700, 1],
    [6, 360, 700, 2],
  ])('%i tiles on %i × %i stand in %i columns', (tiles, width, height, columns) => {
    expect(pack(tiles, { width, height }, 10).columns).toBe(columns);
  });

  test('always fits', () => {
    for (let tiles = 1; tiles <= 64; tiles++) {
      for (const [width, height] of [[1280, 640], [360, 600], [700, 300]] as const) {
        const packed = pack(tiles, { width, height }, 10);
        const rows: number = Math.ceil(tiles / packed.columns);
        expect(packed.width * packed.columns + 10 * (packed.columns - 1)).toBeLessThanOrEqual(width);
        expect(packed.height * rows + 10 * (rows - 1)).toBeLessThanOrEqual(height);
      }
    }
  });
});

test('whoever is away is so in every tile of theirs', () => {
  const tiles = tilesOf(arrange(call({ ...person('a', true), away: true }, person('b')), { pinned: null, grid: false }));
  expect(tiles.map(({ key, away }) => [key, away])).toEqual([['a screen', true], ['a', true], ['b', false], ['self', false]]);
});

describe('the stage', () => {
  const nothing = { pinned: null, grid: false };
  test.each([
    ['nobody else', call(), nothing, 'alone'],
    ['one other', call(person('a')), nothing, 'pair'],
    ['two others', call(person('a'), person('b')), nothing, 'grid'],
    ['a shared screen', call(person('a', true)), nothing, 'focus'],
    ['a shared screen, but a grid is wished', call(person('a', true)), { pinned: null, grid: true }, 'grid'],
    ['someone pinned', call(person('a'), person('b')), { pinned: 'b', grid: false }, 'focus'],
    ['someone pinned who has left', call(person('a'), person('b')), { pinned: 'gone', grid: false }, 'grid'],
  ])('with %s', (_name, live, wish, mode) => expect(arrange(live, wish).mode).toBe(mode));

  test('asks the hub for what has a size, in order, and never for oneself', () => {
    const tiles = tilesOf(arrange(call(person('a', true), person('b')), nothing));
    const wants = wanted(tiles, (key) => (key === 'b' ? undefined : { width: 320.4, height: 180 }));
    expect(wants).toEqual([
      { participant_id: 'a', source: 'screen', width: 320, height: 180 },
      { participant_id: 'a', source: 'camera', width: 320, height: 180 },
    ]);
  });
});

test.each([
  ['Ada Lovelace', 'AL'],
  ['björn', 'B'],
  ['  ', '?'],
  ['柏 木', '柏木'],
  ['Jean Luc de la Tour', 'JT'],
])('the initials of %j are %s', (name, letters) => expect(initials(name)).toBe(letters));

test.each([
  [['Ada'], 'Ada'],
  [['Ada', ''], 'Ada and a guest'],
  [['Ada', 'Ben', 'Cem', 'Dora'], 'Ada, Ben and 2 others'],
])('%j are said as %s', (names, words) => expect(namesOf(names)).toBe(words));

test('a typed name loses control characters and what is too long', () => {
  expect(cleanName(' A\u0007da\n')).toBe('A da');
  expect([...cleanName('😀'.repeat(100))]).toHaveLength(64);
});

test('the token is taken out of the address, the rest of it stays', () => {
  const kept: string[] = [];
  const history = { state: null, replaceState: (_state: unknown, _title: string, url: string) => void kept.push(url) } as unknown as History;
  const location = { pathname: '/r/room-1', search: '?name=Ada', hash: '#token=a.b.c', origin: 'https://t.example' } as Location;
  expect(readAddress(location, history)).toEqual({ roomId: 'room-1', link: 'https://t.example/r/room-1', token: 'a.b.c', autojoin: false, name: 'Ada' });
  expect(kept).toEqual(['/r/room-1?name=Ada']);
});
