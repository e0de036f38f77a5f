/**
 * axe on every page that needs nothing but the service, at a desk and on a phone, light and dark.
 *
 *     npm run test:a11y [http://localhost:8080]      a running service, or `vite preview` without one
 *
 * The pages behind a sign-in and the call itself are examined by tests/browser/pages.story.ts.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import { chromium, type Browser, type BrowserContextOptions } from 'playwright-core';

const AXE: string = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES: readonly string[] = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const PATHS: readonly string[] = ['/', '/demo', '/docs/api', '/docs/problems', '/console', '/r/0198c000-0000-7000-8000-000000000000'];
const LOOKS: readonly BrowserContextOptions[] = [
  { viewport: { width: 1280, height: 800 }, colorScheme: 'light' },
  { viewport: { width: 360, height: 740 }, colorScheme: 'dark' },
];

const base: string = process.argv[2] ?? 'http://localhost:8080';
const browser: Browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
});
let found = 0;
for (const look of LOOKS) for (const path of PATHS) found += await examine(path, look);
await browser.close();
console.log(found === 0 ? `${PATHS.length * LOOKS.length} pages, nothing found` : `${found} violations`);
process.exitCode = found === 0 ? 0 : 1;

async function examine(path: string, look: BrowserContextOptions): Promise<number> {
  const context = await browser.newContext(look);
  const page = await context.newPage();
  await page.goto(base + path);
  await page.getByRole('heading').first().waitFor();
  await page.waitForLoadState('networkidle').catch(() => undefined);
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(
    (values) => (globalThis as unknown as { axe: { run(options: unknown): Promise<AxeResults> } }).axe.run({ runOnly: { type: 'tag', values } }),
    [...RULES],
  );
  for (const { id, help, nodes } of violations) console.error(`${path} (${look.viewport?.width} px): ${id}: ${help}\n  ${nodes.map(({ target }) => target.join(' ')).join('\n  ')}`);
  await context.close();
  return violations.length;
}
