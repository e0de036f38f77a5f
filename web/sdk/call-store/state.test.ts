import { describe, expect, test } from 'vitest';
import type { Joined, Participant } from '../protocol.ts';
import { initial, reduce, type CallState, type Fact } from './state.ts';

const ada: Participant = { participant_id: 'ada', leg_id: 'ada-leg', name: 'Ada', tracks: [{ source: 'camera', muted: false }] };
const ben: Participant = { participant_id: 'ben', leg_id: 'ben-leg', name: 'Ben', tracks: [] };
const frame: Joined = {
  type: 'joined',
  you: { participant_id: 'me', leg_id: 'leg', name: '', may_publish: ['microphone', 'camera'] },
  room: { room_id: 'room', title: 'Standup', participants_max: 8 },
  participants: [ada],
  answer: 'v=0',
  slots: [
    { mid: '4', kind: 'audio', seat: 0 },
    { mid: '7', kind: 'video', seat: 0 },
  ],
  resume: 'secret',
  heartbeat_ms: 5000,
  resume_within_ms: 60_000,
};
const joined: Fact = { fact: 'joined', frame };
const entered: Fact = { fact: 'event', event: { type: 'entered', call_id: 'call' } };
const after = (...facts: readonly Fact[]): CallState => facts.reduce(reduce, initial);
const live: readonly Fact[] = [joined, { fact: 'entering' }, entered];

describe('the way into a call', () => {
  test('begins by joining', () => expect(initial.phase).toBe('joining'));
  test('leads through the lobby, where one sees who is there', () =>
    expect(after(joined)).toMatchObject({ phase: 'lobby', entering: false, others: [ada] }));
  test('is entered when the hub says so, not at the click', () => {
    expect(after(joined, { fact: 'entering' })).toMatchObject({ phase: 'lobby', entering: true });
    expect(after(...live)).toMatchObject({ phase: 'live', callId: 'call' });
  });
  test('ends', () => expect(after(...live, { fact: 'ended', reason: 'left' })).toMatchObject({ phase: 'ended', room: frame.room }));
  test('fails with words', () => {
    const problem = { code: 'room_full', title: 'Full', detail: 'Come back later.' };
    expect(after({ fact: 'failed', problem })).toMatchObject({ phase: 'failed', problem });
  });
});

describe('people', () => {
  const people = (...facts: readonly Fact[]): readonly string[] => {
    const state = after(...live, ...facts);
    return state.phase === 'live' ? state.others.map(({ name }) => name) : [];
  };
  const event = (event: Extract<Fact, { fact: 'event' }>['event']): Fact => ({ fact: 'event', event });

  test('come in their order', () => expect(people(event({ type: 'participant_joined', participant: ben }))).toEqual(['Ada', 'Ben']));
  test('change in place', () =>
    expect(people(event({ type: 'participant_changed', participant: { ...ada, name: 'Countess' } }))).toEqual(['Countess']));
  test('go', () => expect(people(event({ type: 'participant_left', participant_id: 'ada', reason: 'left' }))).toEqual([]));
  test('do not include oneself', () =>
    expect(people(event({ type: 'participant_joined', participant: { ...ben, participant_id: 'me' } }))).toEqual(['Ada']));
});

describe('places', () => {
  test('are filled and emptied by the hub', () => {
    const filled = after(...live, { fact: 'event', event: { type: 'slots', slots: [{ mid: '7', participant_id: 'ada', source: 'camera' }] } });
    expect(filled).toMatchObject({ places: [{ mid: '4', participantId: null }, { mid: '7', participantId: 'ada', source: 'camera' }] });
  });
  test('are paused while one\'s own line does not take their pictures', () => {
    const told = (...mids: readonly string[]): Fact => ({ fact: 'event', event: { type: 'paused', mids } });
    expect(after(...live, told('7'))).toMatchObject({ places: [{ mid: '4', paused: false }, { mid: '7', paused: true }] });
    expect(after(...live, told('7'), told())).toMatchObject({ places: [{ paused: false }, { paused: false }] });
    expect(after(...live, told('7'), joined)).toMatchObject({ places: [{ paused: false }, { paused: false }] });
  });
  test('keep what plays in them when more are added', () => {
    const grown = after(
      ...live,
      { fact: 'event', event: { type: 'slots', slots: [{ mid: '7', participant_id: 'ada', source: 'camera' }] } },
      { fact: 'places', slots: [...frame.slots, { mid: '9', kind: 'video', seat: 1 }] },
    );
    expect(grown).toMatchObject({ places: [{}, { participantId: 'ada' }, { mid: '9', participantId: null }] });
  });
});

describe('a dropped socket', () => {
  test('is shown and forgotten', () => {
    expect(after(...live, { fact: 'reconnecting', attempt: 2 })).toMatchObject({ phase: 'live', link: { is: 'reconnecting', attempt: 2 } });
    expect(after(...live, { fact: 'reconnecting', attempt: 0 }, { fact: 'resumed' })).toMatchObject({ link: { is: 'open' } });
  });
  test('that needs a new join keeps the person in the call', () =>
    expect(after(...live, { fact: 'rejoining' }, joined)).toMatchObject({ phase: 'live', link: { is: 'open' } }));
});

test('snapshots are frozen, and a fact that changes nothing keeps the snapshot', () => {
  const state = after(...live);
  expect(Object.isFrozen(state)).toBe(true);
  expect(Object.isFrozen(state.own)).toBe(true);
  expect(reduce(initial, { fact: 'resumed' })).toBe(initial);
});
