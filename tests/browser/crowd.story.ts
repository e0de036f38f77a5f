/** Eight people in one room: as many browser pages as the room holds, with a slow camera, since all share this machine. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { Caller, openBrowser, OUT } from './caller.ts';
import { Service } from './service.ts';

const NAMES: readonly string[] = ['Ann', 'Ben', 'Cleo', 'Dan', 'Eva', 'Finn', 'Gina', 'Hugo'];

let service: Service;
let browser: Browser;

before(async () => {
  service = await Service.start();
  browser = await openBrowser({ fps: 3 });
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

test('eight people are in one room and each sees the seven others', { timeout: 300_000 }, async () => {
  const { link } = await service.room('Eight', 8);
  const people: Caller[] = [];
  for (const name of NAMES) people.push(await Caller.join(browser, link, name, { viewport: { width: 640, height: 480 } }));
  for (const person of people) await person.sees(NAMES.length - 1, 60_000);
  const before = await Promise.all(people.map((person) => person.seen()));
  const after = await Promise.all(people.map((person, at) => person.seesAndHears(before[at]!, 60_000)));
  assert.equal(after.length, NAMES.length);
  await people[0]!.screenshot(OUT, 'call-eight');
});
