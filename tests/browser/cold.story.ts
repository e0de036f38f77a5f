/** Whoever comes in with everything at once, as a program would, is shown what the hub keeps, and loses nothing of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cold, publish, type ColdJoin } from './bare.ts';
import type { Room } from './service.ts';
import { openPage, setStage } from './stage.ts';

const JOINS = 3;

const stage = setStage();

test('a picture is shown as soon as there is a connection, without asking its publisher for another keyframe', { timeout: 60_000 }, async () => {
  const { browser, service } = stage;
  const room: Room = await service.room('Cold', 8);
  const url: string = service.socketUrl;
  const ann = await openPage(browser, `${service.url}/healthz`);
  await ann.evaluate(publish, { url, token: await service.token(room, 'Ann'), name: 'Ann' });
  for (let join = 1; join <= JOINS; join++) {
    const token: string = await service.token(room, 'Dan');
    const page = await openPage(browser, `${service.url}/healthz`);
    const { moments, keyframesAsked }: ColdJoin = await page.evaluate(cold, { url, token });
    await page.context().close();
    assert.equal(keyframesAsked, 0, `join ${join}: ${JSON.stringify(moments)}`);
  }
});
