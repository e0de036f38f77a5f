import { expect, test } from 'vitest';
import { Comeback } from './comeback.ts';

const WINDOW_MS = 30_000;

/** When it would try, from the loss on, if every attempt failed at once. */
function attempts(random: () => number): readonly number[] {
  const comeback = new Comeback();
  const at: number[] = [];
  for (let now = 0; ; ) {
    const wait: number | undefined = comeback.next(now, WINDOW_MS, random);
    if (wait === undefined) return at;
    at.push((now += wait));
  }
}

test.each([
  ['soonest', () => 0],
  ['latest', () => 0.999],
])('the first attempt comes within a third of a second, further ones ever later, none after the window (%s)', (_name, random) => {
  const at = attempts(random);
  expect(at[0]).toBeLessThanOrEqual(300);
  expect(at.at(-1)).toBeLessThan(WINDOW_MS);
  expect(at.length).toBeGreaterThan(5);
  expect(at.length).toBeLessThan(15);
  const waits = at.map((moment, index) => moment - (at[index - 1] ?? 0));
  expect(waits).toEqual([...waits].sort((a, b) => a - b));
});

test('a service that names a time is not asked before', () => {
  expect(new Comeback().next(0, WINDOW_MS, () => 0, 5000)).toBe(5000);
});

test('a call that held and is lost again has a whole window of its own', () => {
  const comeback = new Comeback();
  expect(comeback.next(0, WINDOW_MS, () => 0)).toBe(150);
  comeback.held(1000);
  expect(comeback.next(60_000, WINDOW_MS, () => 0)).toBe(150);
});

test('a call that is back for moments only is given up in the end', () => {
  const comeback = new Comeback();
  let tries = 0;
  for (let now = 0; ; tries++) {
    const wait: number | undefined = comeback.next(now, WINDOW_MS, () => 0);
    if (wait === undefined) break;
    now += wait + 100;
    comeback.held(now);
    now += 1000;
  }
  expect(tries).toBeLessThan(12);
});
