/** What most stories stand on: a service and a Chromium, there before a file's first test and gone after its last. */
import { after, afterEach, before } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { openBrowser, type BrowserOptions } from './caller.ts';
import { Service } from './service.ts';

interface StageOptions {
  /** The service's environment variables. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly shared?: boolean;
}

export interface Stage {
  readonly service: Service;
  readonly browser: Browser;
}

/**
 * To be called where a file's tests are declared; what it answers is there as soon as one of them runs. After each test its
 * pages are closed, except where tests run at the same time and `shared` says that each closes its own.
 */
export function setStage(options: BrowserOptions = {}, { settings = {}, shared = false }: StageOptions = {}): Stage {
  let service: Service;
  let browser: Browser;
  before(async () => {
    service = await Service.start(settings);
    browser = await openBrowser(options);
  });
  after(async () => {
    await browser?.close();
    await service?.stop();
  });
  if (!shared) {
    afterEach(async () => {
      await Promise.all(browser.contexts().map((context) => context.close()));
    });
  }
  return {
    get service() {
      return service;
    },
    get browser() {
      return browser;
    },
  };
}

/** A page of nobody's yet, with a camera and a microphone to be used. */
export async function openPage(browser: Browser, url: string): Promise<Page> {
  const context = await browser.newContext({ permissions: ['camera', 'microphone'] });
  const page: Page = await context.newPage();
  await page.goto(url);
  return page;
}
