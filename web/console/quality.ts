import type { Connection, ConnectionFlow } from './types.ts';

/** How good a connection is, in bars: 4 is as good as being there, 1 is hard to talk over, 0 is not measured yet. */
export type Bars = 0 | 1 | 2 | 3 | 4;

interface Limit {
  readonly bars: Bars;
  readonly rttMs: number;
  readonly lossPermille: number;
  readonly jitterMs: number;
}

/** What each number of bars takes. 150 ms one way is where ITU-T G.114 sees a conversation begin to suffer. */
const LIMITS: readonly Limit[] = [
  { bars: 4, rttMs: 150, lossPermille: 10, jitterMs: 30 },
  { bars: 3, rttMs: 300, lossPermille: 30, jitterMs: 60 },
  { bars: 2, rttMs: 500, lossPermille: 80, jitterMs: 120 },
];

/** The worst of everything that was measured. */
export function barsOf({ rtt_ms, up, down }: Connection): Bars {
  const measured: readonly (number | null)[] = [rtt_ms, up.loss_permille, down.loss_permille];
  if (measured.every((value) => value === null)) return 0;
  const jitter: number = worstJitter({ up, down });
  const loss: number = worstLoss({ up, down });
  return LIMITS.find((limit) => (rtt_ms ?? 0) <= limit.rttMs && loss <= limit.lossPermille && jitter <= limit.jitterMs)?.bars ?? 1;
}

export const worstJitter = ({ up, down }: { readonly up: ConnectionFlow; readonly down: ConnectionFlow }): number =>
  Math.max(up.jitter_ms ?? 0, down.jitter_ms ?? 0);

const worstLoss = ({ up, down }: { readonly up: ConnectionFlow; readonly down: ConnectionFlow }): number =>
  Math.max(up.loss_permille ?? 0, down.loss_permille ?? 0);

/** What the bars mean. */
export function barsText(bars: Bars): string {
  return ['Not measured yet', 'Poor', 'Fair', 'Good', 'Excellent'][bars] ?? '';
}

/** A rate: `1.4 Mbit/s`, `36 kbit/s`. */
export function rateText(bitsPerSecond: number): string {
  return bitsPerSecond >= 1_000_000 ? `${(bitsPerSecond / 1_000_000).toFixed(1)} Mbit/s` : `${Math.round(bitsPerSecond / 1000)} kbit/s`;
}

/** A loss: `0 %`, `0.4 %`, `12 %`. */
export function lossText(permille: number | null): string {
  if (permille === null) return '–';
  return permille === 0 || permille >= 100 ? `${Math.round(permille / 10)} %` : `${(permille / 10).toFixed(1)} %`;
}
