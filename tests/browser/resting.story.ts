/** Encodings that nobody is shown. */
import assert from 'node:assert/strict';
import { setTimeout as pass } from 'node:timers/promises';
import { test } from 'node:test';
import { Caller } from './caller.ts';
import { until } from './service.ts';
import { setStage, type Stage } from './stage.ts';

const stage: Stage = setStage();

test('nobody encodes for nobody, and whoever comes is shown the large picture', async () => {
  const { link } = await stage.service.room('Early');
  const ann: Caller = await Caller.join(stage.browser, link, 'Ann');
  const sent = async (rid: string): Promise<number> => (await ann.seen()).framesSentOf[rid] ?? 0;
  await until('all encodings to be sent', 30_000, async () => (await Promise.all(['q', 'h', 'f'].map(sent))).every((frames) => frames > 5));
  await until('the large ones to be told to rest', 15_000, async () => (await ann.events()).includes('resting'));
  await pass(1_000);
  const [small, large] = [await sent('q'), await sent('f')];
  await until('more of the small one', 10_000, async () => (await sent('q')) > small + 20);
  assert.equal(await sent('f'), large, 'the large one rests');

  const ben: Caller = await Caller.join(stage.browser, link, 'Ben');
  await ben.sees(1);
  await until('the large one again', 20_000, async () => (await sent('f')) > large + 20);
});
