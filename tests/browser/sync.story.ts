/** Lips and voice of one person, while the picture changes its layer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { lookAndListen, publish, watch } from './bare.ts';
import { median } from './rows.ts';
import { until, type Room } from './service.ts';
import { openPage, setStage, type Stage } from './stage.ts';

/**
 * People begin to notice a voice that is 45 ms early or 125 ms late (ITU-R BT.1359-1). Behind that stand here the frames' 50 ms
 * and whatever a busy machine lets a browser wait for.
 */
const LATE_MS_MAX = 125;
/** How wide the two layers of the slate are. */
const [LOW, FULL] = [160, 640];
/** So many claps say how late the voice is. */
const CLAPS = 7;

const stage: Stage = setStage();

const page = (): Promise<Page> => openPage(stage.browser, stage.service.url);

/** By how much each flash's tone came after it, in milliseconds. */
function delays({ flashes, tones }: Window['claps']): number[] {
  const ofFlash = (flash: number): number | undefined => tones.map((tone) => tone - flash).find((delay) => Math.abs(delay) < 500);
  return flashes.map(ofFlash).filter((delay) => delay !== undefined);
}

test('lips and voice stay together when the picture changes its layer', async (t) => {
  const room: Room = await stage.service.room('Lips');
  const url = stage.service.socketUrl;
  const [publisher, viewer] = [await page(), await page()];
  await publisher.evaluate(publish, { url, token: await stage.service.token(room, 'Ann'), name: 'Ann', slate: true });
  await viewer.evaluate(watch, { url, token: await stage.service.token(room, 'Ben'), name: 'Ben' });
  await until('somebody to be shown', 20_000, () => viewer.evaluate(() => window.watched.frames.length > 0));
  await viewer.evaluate(lookAndListen);
  /** How late the voice was at each of the next claps. */
  const claps = async (): Promise<number[]> => {
    await viewer.evaluate(() => (window.claps.flashes.length = 0));
    return until(`${CLAPS} claps`, 30_000, async () => {
      const all: number[] = delays(await viewer.evaluate(() => window.claps));
      return all.length >= CLAPS && all;
    });
  };
  // At first a browser that is busy holds the voice back, and takes seconds to bring the two together.
  await until('lips and voice to find each other', 60_000, async () => Math.abs(median(await claps())) <= LATE_MS_MAX);
  for (const width of [FULL, LOW, FULL, LOW]) {
    await viewer.evaluate((wide) => window.watched.show(wide), width);
    await until(`a picture ${width} pixels wide`, 30_000, () => viewer.evaluate((wide) => window.watched.frames.at(-1)?.width === wide, width));
    const found: number[] = await claps();
    t.diagnostic(`${width}: the voice is late by ${found.map((one) => Math.round(one)).join(' ')} ms`);
    assert.ok(Math.abs(median(found)) <= LATE_MS_MAX, `at ${width} pixels the voice is late by ${median(found)} ms`);
  }
});
