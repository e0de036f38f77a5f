/** Every page: nothing for axe to complain about, no scroll bar at phone width, no error in the log, light and dark. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { AxeResults } from 'axe-core';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { Caller, OUT } from './caller.ts';
import { consolePaths, openConsole } from './console.ts';
import { setStage, type Stage } from './stage.ts';

const AXE: string = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES: readonly string[] = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const FOLDER: string = join(OUT, 'pages');

const LOOKS: readonly { name: string; options: BrowserContextOptions }[] = [
  { name: 'desktop-light', options: { viewport: { width: 1280, height: 800 }, colorScheme: 'light' } },
  { name: 'desktop-dark', options: { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' } },
  { name: 'phone-light', options: { viewport: { width: 360, height: 740 }, colorScheme: 'light', hasTouch: true } },
  { name: 'phone-dark', options: { viewport: { width: 360, height: 740 }, colorScheme: 'dark', hasTouch: true } },
];

const stage: Stage = setStage({}, { shared: true });

// Each waits for the network to be quiet, over and over: two looks at a time, for two cores.
describe('every page', { concurrency: 2 }, () => {
  for (const { name, options } of LOOKS) {
    describe(name, { concurrency: 1 }, () => {
      for (const path of ['/', '/demo', '/docs/problems', '/docs/api', '/r/0198c000-0000-7000-8000-000000000000', '/nowhere']) {
        test(`the page ${path}`, async () => {
          const context = await stage.browser.newContext(options);
          const page: Page = await context.newPage();
          const errors: string[] = listen(page);
          await page.goto(stage.service.url + path);
          await page.getByRole('heading').first().waitFor();
          await examine(page, `${name}${path.slice(0, 20)}`);
          assert.deepEqual(errors.filter((error) => !/404|Not Found/.test(error)), []);
          await context.close();
        });
      }

      test('the lobby and the call', async () => {
        const { link } = await stage.service.room('Quarterly figures');
        const ben: Caller = await Caller.join(stage.browser, link, 'Ben');
        const ann: Caller = await Caller.lobby(stage.browser, link, 'Ann', options);
        const errors: string[] = listen(ann.page);
        await ann.ready();
        await examine(ann.page, `${name}-lobby`);
        await ann.enter();
        await ann.sees(1);
        await examine(ann.page, `${name}-call`);
        await ann.leave();
        await examine(ann.page, `${name}-left`);
        assert.deepEqual(errors, []);
        await Promise.all([ann.close(), ben.close()]);
      });

      test('the console', async () => {
        const home: Page = await openConsole(stage.browser, stage.service, '/console', options);
        const paths: string[] = await consolePaths(home);
        assert.ok(paths.length >= 2, `the console has the pages ${paths.join(', ')}`);
        await home.context().close();
        for (const path of paths) {
          const page: Page = await openConsole(stage.browser, stage.service, path, options);
          const errors: string[] = listen(page);
          await page.reload();
          await page.getByRole('heading').first().waitFor();
          await examine(page, name + path);
          assert.deepEqual(errors, [], path);
          await page.context().close();
        }
      });
    });
  }
});

/** A screenshot, the width and axe. */
async function examine(page: Page, name: string): Promise<void> {
  await page.waitForLoadState('networkidle').catch(() => undefined);
  await page.screenshot({ path: join(FOLDER, `${name.replace(/[^\w-]+/g, '-')}.png`) });
  const { wide, has } = await page.evaluate(() => ({ wide: document.scrollingElement?.scrollWidth ?? 0, has: innerWidth }));
  assert.ok(wide <= has, `${name}: ${wide} px of content in ${has} px`);
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(
    (values) => (window as unknown as { axe: { run(options: unknown): Promise<AxeResults> } }).axe.run({ runOnly: { type: 'tag', values } }),
    [...RULES],
  );
  const said: string[] = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target.join(' ')} (${failureSummary})`).join('; ')}`);
  assert.deepEqual(said, [], name);
}

/** Everything that goes wrong in a page, a broken rule of its content policy included. */
function listen(page: Page): string[] {
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  return errors;
}
