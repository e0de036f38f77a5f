import { describe, expect, it } from 'vitest';
import { barsOf, barsText, lossText, rateText } from './quality.ts';
import type { Connection } from './types.ts';

const flow = { bits_per_s: 1, loss_permille: 0, jitter_ms: 1 };
const good: Connection = { leg_id: '1', transport: 'udp', rtt_ms: 20, up: flow, down: flow, plays: [] };

describe('bars', () => {
  it('are those of the worst that was measured', () => {
    expect(barsOf(good)).toBe(4);
    expect(barsOf({ ...good, rtt_ms: 200 })).toBe(3);
    expect(barsOf({ ...good, up: { ...flow, loss_permille: 50 } })).toBe(2);
    expect(barsOf({ ...good, down: { ...flow, loss_permille: 50 } })).toBe(2);
    expect(barsOf({ ...good, down: { ...flow, jitter_ms: 500 } })).toBe(1);
    expect(barsOf({ ...good, rtt_ms: 900 })).toBe(1);
  });

  it('are none before anything was measured, and a listener who sends nothing has them', () => {
    const none = { bits_per_s: 0, loss_permille: null, jitter_ms: null };
    expect(barsOf({ ...good, rtt_ms: null, up: none, down: none })).toBe(0);
    expect(barsText(0)).toBe('Not measured yet');
    expect(barsOf({ ...good, up: none })).toBe(4);
  });
});

describe('words', () => {
  it('round as people do', () => {
    expect([0, 36_400, 1_380_000].map(rateText)).toEqual(['0 kbit/s', '36 kbit/s', '1.4 Mbit/s']);
    expect([null, 0, 4, 99, 123].map(lossText)).toEqual(['–', '0 %', '0.4 %', '9.9 %', '12 %']);
  });
});
