/** Calls between real browsers, through the real service. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser } from 'playwright-core';
import { Caller, chromiumPath, openBrowser, OUT } from './caller.ts';
import { until } from './service.ts';
import { openPage, setStage, type Stage } from './stage.ts';

const stage: Stage = setStage();

describe('a call', () => {
  test('two people see and hear each other', async () => {
    const { link } = await stage.service.room('Two people');
    const ann: Caller = await Caller.join(stage.browser, link, 'Ann');
    const ben: Caller = await Caller.join(stage.browser, link, 'Ben');
    const people: Caller[] = [ann, ben];
    await Promise.all(people.map((person) => person.sees(1)));
    const first = await Promise.all(people.map((person) => person.seen()));
    // Both figures must go on rising on both sides, not only have risen once.
    await Promise.all(people.map((person, at) => person.seesAndHears(first[at]!)));
    for (const { srtpCiphers } of await Promise.all(people.map((person) => person.seen()))) {
      assert.match(srtpCiphers.join(), /^SRTP_AEAD_AES_(128|256)_GCM$/, 'the media is not sealed with AES-GCM');
    }
    const named = await ann.page.getByText('Ben').first().isVisible();
    assert.ok(named, 'Ann does not see whom she sees');
    await ann.screenshot(OUT, 'call-two');
  });

  test('a third who comes late sees both within 1 s', async () => {
    const { link } = await stage.service.room('Late');
    await Caller.join(stage.browser, link, 'Ann');
    await Caller.join(stage.browser, link, 'Ben');
    const late: Caller = await Caller.lobby(stage.browser, link, 'Cleo');
    await late.ready();
    // The lobby hears and sees nothing.
    assert.equal((await late.seen()).framesDecoded, 0);
    await late.enter();
    const times: number[] = await until('both pictures', 10_000, async () => {
      const [framesAt, click] = await late.page.evaluate(() => [Object.values(window.probe.framesAt), window.probe.moments.click ?? 0] as const);
      return framesAt.length >= 2 && framesAt.map((at) => at - click);
    });
    const slowest: number = Math.max(...times);
    assert.ok(slowest <= 1000, `from the click to both pictures took ${slowest.toFixed(0)} ms`);
  });

  test('a dropped WebSocket resumes while media goes on', async () => {
    const { link } = await stage.service.room('Resume');
    const ann: Caller = await Caller.join(stage.browser, link, 'Ann');
    const ben: Caller = await Caller.join(stage.browser, link, 'Ben');
    await Promise.all([ann.sees(1), ben.sees(1)]);
    const before = await ann.seen();
    for (let cut = 0; cut < 3; cut++) {
      const resumed: number = (await ann.page.evaluate(() => window.probe.frames.filter(({ type }) => type === 'resumed').length)) + 1;
      assert.equal(await ann.page.evaluate(() => window.probe.cutSockets()), 1);
      await until('the session to go on', 15_000, () =>
        ann.page.evaluate((wanted) => window.probe.frames.filter(({ type }) => type === 'resumed').length >= wanted, resumed),
      );
    }
    const now = await ann.seesAndHears(before);
    assert.equal(now.connections, before.connections, 'the media connection was made anew');
    assert.equal(now.negotiations, before.negotiations, 'the media connection was negotiated again');
    assert.ok(!(await ben.events()).includes('participant_left'), 'Ben was told that somebody left');
    // What Ann says after the drop reaches Ben.
    await ann.button(/^mute/i).click();
    await until('Ben to hear of the mute', 5000, async () => (await ben.events()).includes('participant_changed'));
  });

  test('whose browser has died is said to be reconnecting', async () => {
    const { link } = await stage.service.room('Away');
    const ann: Caller = await Caller.join(stage.browser, link, 'Ann');
    const dir: string = mkdtempSync(join(tmpdir(), 'tuppence-mortal-'));
    const program: string = join(dir, 'chromium');
    writeFileSync(program, `#!/bin/sh\necho $$ > ${dir}/pid\nexec ${chromiumPath()} "$@"\n`, { mode: 0o755 });
    const mortal: Browser = await openBrowser({ program });
    await Caller.join(mortal, link, 'Ben');
    await ann.sees(1);
    const note = ann.page.getByText('Reconnecting…');
    assert.equal(await note.count(), 0);
    process.kill(Number(readFileSync(join(dir, 'pid'), 'utf8')), 'SIGKILL');
    await note.waitFor({ timeout: 10_000 });
    await ann.screenshot(OUT, 'call-away');
    rmSync(dir, { recursive: true });
  });

  test('mute shows on the other side', async () => {
    const { link } = await stage.service.room('Mute');
    const ann: Caller = await Caller.join(stage.browser, link, 'Ann');
    const ben: Caller = await Caller.join(stage.browser, link, 'Ben');
    await Promise.all([ann.sees(1), ben.sees(1)]);
    await ben.seesAndHears({ ...(await ben.seen()), framesDecoded: 0 });
    await ann.button(/^mute/i).click();
    await until('Ben to see that Ann is muted', 5000, () => ben.page.getByText(/muted/i).or(ben.page.getByLabel(/muted/i)).first().isVisible());
    // What was under way when Ann turned her microphone off fades out of Ben's jitter buffer; then it is silent for good.
    await until('Ben to hear nothing any more', 5000, async () => {
      const before = await ben.seen();
      await sleep(750);
      const now = await ben.seen();
      assert.ok(now.framesDecoded > before.framesDecoded, 'the picture stopped with the sound');
      return now.totalAudioEnergy - before.totalAudioEnergy < 1e-6;
    });
  });

  test('a shared screen reaches the others without a negotiation', async () => {
    const { link } = await stage.service.room('Screen');
    const ann: Caller = await Caller.join(stage.browser, link, 'Ann');
    const ben: Caller = await Caller.join(stage.browser, link, 'Ben');
    await Promise.all([ann.sees(1), ben.sees(1)]);
    const [annBefore, benBefore] = [await ann.seen(), await ben.seen()];
    await ann.button(/^share/i).click();
    await ben.sees(2);
    const [annNow, benNow] = [await ann.seen(), await ben.seen()];
    assert.equal(annNow.negotiations, annBefore.negotiations, 'sharing negotiated');
    assert.equal(benNow.negotiations, benBefore.negotiations, 'watching negotiated');
    await ben.screenshot(OUT, 'call-screen');
  });

  test('a person who leaves is gone at once, and the call goes on', async () => {
    const { link } = await stage.service.room('Leave');
    const ann: Caller = await Caller.join(stage.browser, link, 'Ann');
    const ben: Caller = await Caller.join(stage.browser, link, 'Ben');
    await Promise.all([ann.sees(1), ben.sees(1)]);
    await ben.leave();
    await until('Ann to hear that Ben left', 5000, async () => (await ann.events()).includes('participant_left'));
    await until('Ben to be off the page', 5000, async () => (await ann.page.getByText('Ben', { exact: true }).count()) === 0);
  });

  test('a full room says so', async () => {
    const { link } = await stage.service.room('Full', 1);
    await Caller.join(stage.browser, link, 'Ann');
    const page = await openPage(stage.browser, link);
    await page.getByText(/full/i).first().waitFor({ timeout: 15_000 });
  });
});
