/** A call between Firefox and Chromium. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Caller, OUT } from './caller.ts';
import { Firefox, FirefoxCaller } from './firefox.ts';
import type { Person } from './person.ts';
import { until } from './service.ts';
import { setStage, type Stage } from './stage.ts';

const stage: Stage = setStage();
let firefox: Firefox;

before(async () => {
  firefox = await Firefox.open();
});

after(async () => {
  await firefox?.close();
});

/** Both figures must go on rising on both sides, not only have risen once. */
async function meet(people: readonly Person[]): Promise<void> {
  await Promise.all(people.map((person) => person.sees(1)));
  const first = await Promise.all(people.map((person) => person.seen()));
  await Promise.all(people.map((person, at) => person.seesAndHears(first[at]!)));
}

test('Firefox and Chromium see and hear each other, and again when Firefox comes back', async (context) => {
  const { link } = await stage.service.room('Two browsers');
  const ann: Caller = await Caller.join(stage.browser, link, 'Ann');
  const fay: FirefoxCaller = await FirefoxCaller.join(firefox, link, 'Fay');
  await meet([ann, fay]);
  await ann.page.getByText('Fay').first().waitFor();
  await ann.screenshot(OUT, 'call-firefox');
  const layers = await until('Firefox to send its picture in layers', 20_000, async () => {
    const { framesSentOf } = await fay.seen();
    // A machine that is busy with two browsers leaves the largest of the three out.
    return Object.values(framesSentOf).filter((frames) => frames > 10).length >= 2 && framesSentOf;
  });
  context.diagnostic(`Firefox sent ${JSON.stringify(layers)}`);
  await fay.leave();
  await until('Ann to hear that Fay left', 5_000, async () => (await ann.events()).includes('participant_left'));
  await fay.close();
  const again: FirefoxCaller = await FirefoxCaller.join(firefox, link, 'Fay');
  await meet([ann, again]);
  const { connections, srtpCiphers } = await again.seen();
  assert.equal(connections, 1, 'nothing had to be tried twice');
  assert.match(srtpCiphers.join(), /^SRTP_AEAD_AES_(128|256)_GCM$/, 'the media is not sealed with AES-GCM');
});
