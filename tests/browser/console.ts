/** The console in a real Chromium, signed in with the owner link. */
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { until, type Service } from './service.ts';

type StorageState = Awaited<ReturnType<BrowserContext['storageState']>>;

/** The link works once, so each service's cookie is kept. */
const signedIn = new WeakMap<Service, Promise<StorageState>>();

/** A page of the console; the first one of a service signs in. */
export async function openConsole(browser: Browser, service: Service, path = '/console', options: BrowserContextOptions = {}): Promise<Page> {
  const known: Promise<StorageState> = signedIn.get(service) ?? signIn(browser, service);
  signedIn.set(service, known);
  const context: BrowserContext = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options, storageState: await known });
  const page: Page = await context.newPage();
  await page.goto(service.url + path);
  await page.getByRole('navigation').first().waitFor();
  return page;
}

async function signIn(browser: Browser, service: Service): Promise<StorageState> {
  const context: BrowserContext = await browser.newContext();
  const page: Page = await context.newPage();
  await page.goto(service.ownerLink);
  await until('the console to sign in', 15_000, async () => (await context.cookies()).some(({ name }) => name === 'tuppence_session'));
  const state: StorageState = await context.storageState();
  await context.close();
  return state;
}

/** Addresses in the console's navigation. */
export async function consolePaths(page: Page): Promise<string[]> {
  const links: (string | null)[] = await page.locator('nav a[href^="/console"]').evaluateAll((all) => all.map((link) => link.getAttribute('href')));
  return [...new Set(links.filter((link) => link !== null))];
}

/** Presses Tab until something with this accessible name has the focus. */
export async function tabTo(page: Page, name: RegExp): Promise<string> {
  const heard: string[] = [];
  for (let presses = 0; presses < 120; presses++) {
    await page.keyboard.press('Tab');
    const focused: string = await focusedText(page);
    heard.push(focused);
    if (name.test(focused)) return focused;
  }
  throw new Error(`no Tab leads to ${name}; it leads to: ${[...new Set(heard)].join(' | ')}`);
}

/** What has the focus, through all shadow roots, by its label or its text. */
function focusedText(page: Page): Promise<string> {
  return page.evaluate(() => {
    let focused: Element | null = document.activeElement;
    while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
    return (focused?.getAttribute('aria-label') ?? focused?.textContent ?? '').replace(/\s+/g, ' ').trim();
  });
}
