/** Eight people in one room: as many browser pages as the room holds, with the slowest of cameras, since all share this machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Caller, OUT } from './caller.ts';
import { setStage, type Stage } from './stage.ts';

const NAMES: readonly string[] = ['Ann', 'Ben', 'Cleo', 'Dan', 'Eva', 'Finn', 'Gina', 'Hugo'];

const stage: Stage = setStage({ fps: 1 });

test('eight people are in one room and each sees the seven others', { timeout: 300_000 }, async () => {
  const { link } = await stage.service.room('Eight', 8);
  const people: Caller[] = await Promise.all(
    NAMES.map((name) => Caller.lobby(stage.browser, link, name, { viewport: { width: 640, height: 480 } })),
  );
  // One after the other, and when all pages are there: those in the call leave little of the processors to a page that loads.
  for (const person of people) await person.enter();
  for (const person of people) await person.sees(NAMES.length - 1, 60_000);
  const before = await Promise.all(people.map((person) => person.seen()));
  const after = await Promise.all(people.map((person, at) => person.seesAndHears(before[at]!, 60_000)));
  assert.equal(after.length, NAMES.length);
  await people[0]!.screenshot(OUT, 'call-eight');
});
