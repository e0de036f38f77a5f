/** Pages of another origin that speak WHIP and WHEP, without our SDK, through the real service. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { Caller } from './caller.ts';
import { end, make, received, restart, trickle } from './resource.ts';
import { until, type Room } from './service.ts';
import { openPage, setStage, type Stage } from './stage.ts';

const stage: Stage = setStage();
let elsewhere: Server;

before(async () => {
  elsewhere = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html>'));
  await new Promise<void>((done) => elsewhere.listen(0, '127.0.0.1', done));
});

after(() => elsewhere?.close());

/** A page that is not ours. */
async function strange(): Promise<Page> {
  return openPage(stage.browser, `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`);
}

async function endpoint(way: 'whip' | 'whep', room: Room, name: string): Promise<{ url: string; token: string }> {
  return { url: `${stage.service.url}/v1/${way}/${room.room_id}`, token: await stage.service.token(room, name) };
}

async function goesOn(page: Page): Promise<void> {
  const before = await page.evaluate(received);
  await until('more of sound and picture', 15_000, async () => {
    const now = await page.evaluate(received);
    return now.frames > before.frames + 10 && now.sound > before.sound + 20;
  });
}

describe('a page of another origin', () => {
  test('publishes by WHIP, is seen in the call page, restarts ICE and goes', async () => {
    const room: Room = await stage.service.room('WHIP');
    const ann: Caller = await Caller.join(stage.browser, room.link, 'Ann');
    const obs: Page = await strange();
    await obs.evaluate(make, await endpoint('whip', room, 'Studio'));
    await ann.sees(1);
    await ann.page.getByText('Studio').first().waitFor();
    assert.equal(await obs.evaluate(trickle), 204);
    const first = await ann.seen();
    assert.equal(await obs.evaluate(restart), '"ice-2"');
    await ann.seesAndHears(first);
    assert.deepEqual(await obs.evaluate(end), [200, 404]);
    await until('Ann to hear that the publisher left', 5_000, async () => (await ann.events()).includes('participant_left'));
  });

  test('watches by WHEP what a publisher sends by WHIP', async () => {
    const room: Room = await stage.service.room('WHEP');
    const obs: Page = await strange();
    await obs.evaluate(make, await endpoint('whip', room, 'Studio'));
    const wall: Page = await strange();
    await wall.evaluate(make, await endpoint('whep', room, 'Wall'));
    await goesOn(wall);
    await wall.evaluate(restart);
    await goesOn(wall);
    assert.deepEqual(await wall.evaluate(end), [200, 404]);
  });

  test('closes without a word and is gone', async () => {
    const room: Room = await stage.service.room('Gone');
    const ann: Caller = await Caller.join(stage.browser, room.link, 'Ann');
    const obs: Page = await strange();
    await obs.evaluate(make, await endpoint('whip', room, 'Studio'));
    await ann.sees(1);
    await obs.evaluate(() => window.resource.connection.close());
    // The stack says goodbye on the wire, so that nobody waits for the silence of 15 s.
    await until('Ann to hear that the publisher left', 5_000, async () => (await ann.events()).includes('participant_left'));
  });
});
