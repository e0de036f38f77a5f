/** Messages between pages, by the SDK as it stands in `web/sdk`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { ROOT, until } from './service.ts';
import { setStage, type Stage } from './stage.ts';

const stage: Stage = setStage();

/** A page that has the SDK and nothing else, in the call. */
async function page(token: string): Promise<Page> {
  const page: Page = await stage.browser.newPage();
  await page.route('**/sdk-of-the-tree/**', (route) => {
    const path: string = new URL(route.request().url()).pathname.replace('/sdk-of-the-tree/', '');
    const body: string = stripTypeScriptTypes(readFileSync(join(ROOT, 'web/sdk', path), 'utf8'));
    return route.fulfill({ body, contentType: 'text/javascript' });
  });
  await page.goto(`${stage.service.url}/404.html`);
  await page.evaluate(
    async ({ url, token }) => {
      const module = '/sdk-of-the-tree/call-store/store.ts';
      const { CallStore } = await import(module);
      const heard: unknown[] = [];
      const onMessage = (message: { body: unknown }): void => {
        const { body } = message;
        heard.push({ ...message, body: body instanceof Uint8Array ? [...body] : body });
      };
      const call = new CallStore({ url, token: async () => token, onMessage });
      call.dispatch({ ask: 'join' });
      call.dispatch({ ask: 'enter', name: 'Page' });
      Object.assign(window, { call, heard });
    },
    { url: stage.service.socketUrl, token },
  );
  return page;
}

const me = (page: Page): Promise<string> => page.evaluate('call.getState().you.participant_id');
const heard = (page: Page): Promise<{ from: string; body: unknown; missed: number }[]> => page.evaluate('heard');
const says = (page: Page, what: string): Promise<boolean> => page.evaluate(`call.send(${what})`);

test('pages write to everybody and to one, in order or at once', async () => {
  const room = await stage.service.room('Letters');
  const pages: Page[] = [];
  for (const name of ['ann', 'ben', 'cleo']) pages.push(await page(await stage.service.token(room, name)));
  const [ann, ben, cleo] = pages as [Page, Page, Page];
  for (const one of pages) {
    await until('everybody to be there', 20_000, () => one.evaluate('call.getState().phase === "live" && call.getState().others.length === 2'));
  }
  // The channels open with the connection.
  await until('the first message to be taken', 10_000, () => says(ann, '"to all"'));
  await until('it to come to both', 5000, async () => (await heard(ben)).length === 1 && (await heard(cleo)).length === 1);
  assert.deepEqual(await heard(ben), [{ from: await me(ann), body: 'to all', missed: 0 }]);
  assert.ok(await says(ben, `new Uint8Array([1, 2, 3]), { to: ['${await me(cleo)}'] }`));
  assert.ok(await says(ben, `'quick', { to: ['${await me(cleo)}'], reliable: false }`));
  assert.ok(await says(ben, `'x'.repeat(16384), { to: ['${await me(cleo)}'] }`));
  const all = await until('three more to come to Cleo', 5000, async () => {
    const all = await heard(cleo);
    return all.length === 4 && all;
  });
  const bodies = all.slice(1).map(({ body }) => JSON.stringify(body).slice(0, 10)).sort();
  assert.deepEqual(bodies, ['"quick"', '"xxxxxxxxx', '[1,2,3]']);
  assert.equal((await heard(ann)).length, 0, 'what is for one reaches nobody else');
  assert.equal(await says(ann, `'late', { to: ['nobody'] }`), false);
  // Each is counted where it came: one with Ben, four with Cleo.
  await until('the messages to be counted', 10_000, async () => {
    const { totals } = await stage.service.get<{ totals: { message_count: number } }>('/v1/usage');
    return totals.message_count === 5;
  });
});
