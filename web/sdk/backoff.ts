const FIRST_MS = 300;
const LONGEST_MS = 8_000;

/**
 * How long to wait before the given attempt, from 0. Doubles up to a ceiling; a random half of it from the very
 * first retry, so that the callers of a restarted hub do not all come back at once.
 */
export function backoffMs(attempt: number, random: () => number): number {
  const ceiling: number = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling * (0.5 + random() / 2));
}
