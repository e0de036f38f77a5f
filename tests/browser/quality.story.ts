/** What the console shows of the lines of a call that goes on. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { Caller, OUT } from './caller.ts';
import { openConsole } from './console.ts';
import { until } from './service.ts';
import { setStage, type Stage } from './stage.ts';

const stage: Stage = setStage();

test('an agent sees at a glance how well each line of a live call does', async () => {
  const { link } = await stage.service.room('Repotting a fern');
  const people: Caller[] = [await Caller.join(stage.browser, link, 'Ann'), await Caller.join(stage.browser, link, 'Ben')];
  await Promise.all(people.map((person) => person.sees(1)));
  const page: Page = await openConsole(stage.browser, stage.service, '/console/calls');
  await page.getByRole('link', { name: 'Repotting a fern' }).click();
  const lines = page.locator('console-quality .line');
  await until('both lines to be measured both ways', 30_000, async () => {
    const texts: string[] = await lines.allInnerTexts();
    return texts.length === 2 && texts.every((text) => /\d+ ms/.test(text) && !text.includes('–') && !text.includes(' 0 kbit/s'));
  });
  const texts: string[] = await lines.allInnerTexts();
  assert.ok(texts.some((text) => text.includes('Ann')) && texts.some((text) => text.includes('Ben')), texts.join(' | '));
  // How good a line is depends on what else the machine does; that it was measured does not.
  for (const bars of await lines.locator('.bars').all()) {
    assert.match((await bars.getAttribute('aria-label')) ?? '', /Excellent|Good|Fair|Poor/);
  }
  for (const [name, width] of [['desktop', 1280], ['phone', 390]] as const) {
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme });
      const overflow: number = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(overflow, 0, `the ${name} page is wider than its window`);
      await page.locator('console-quality').scrollIntoViewIfNeeded();
      await page.screenshot({ path: join(OUT, `quality-${name}-${colorScheme}.png`) });
    }
  }
});
