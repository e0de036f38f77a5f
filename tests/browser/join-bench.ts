/**
 * `join`: how long from wanting in to the first picture, on loopback, with two publishers in the room.
 *
 * `click_*`: the person is in the lobby of the call page, connected; the click is one message.
 * `cold_*`: nothing is prepared but the token; the clock starts before the socket and the peer connection are made.
 * `browser_alone_*`: a page that connects to itself, in turns with the others: what of a cold join is the browser's, here.
 *
 *     node tests/browser/join-bench.ts [--runs 20] [--json]
 */
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { alone, cold, publish, type AloneMoments, type ColdJoin, type ColdMoments } from './bare.ts';
import { Caller, openBrowser } from './caller.ts';
import { median, print, row, type Row } from './rows.ts';
import { Service, until, type Room } from './service.ts';

const CLICK_AIM_MS = 60;
const COLD_AIM_MS = 100;

interface Click {
  readonly sent: number;
  readonly entered: number;
  readonly firstPacket: number;
  readonly firstFrame: number;
}

const { values } = parseArgs({ options: { runs: { type: 'string', default: '20' }, json: { type: 'boolean', default: false } } });
const runs: number = Number(values.runs);

const service: Service = await Service.start();
const socketUrl = service.socketUrl;
const browser: Browser = await openBrowser();
try {
  const room: Room = await service.room('Join', 8);
  for (const name of ['Ann', 'Ben']) {
    const page: Page = await barePage();
    await page.evaluate(publish, { url: socketUrl, token: await service.token(room, name), name });
  }
  const clicks: Click[] = [];
  const colds: ColdJoin[] = [];
  const alones: AloneMoments[] = [];
  for (let run = 1; run <= runs; run++) {
    clicks.push(await click(room));
    colds.push(await coldly(room));
    alones.push(await onFreshPage((page) => page.evaluate(alone)));
    const took = [clicks, colds.map(({ moments }) => moments), alones].map((each) => each.at(-1)?.firstFrame.toFixed(0));
    console.error(`join: ${run}/${runs}, click ${took[0]} ms, cold ${took[1]} ms, the browser alone ${took[2]} ms`);
  }
  print([...clickRows(clicks), ...coldRows(colds), ...aloneRows(alones)], values.json);
} finally {
  await browser.close();
  await service.stop();
}

/** Waits in the lobby until it is connected and quiet, then clicks. */
async function click({ link }: Room): Promise<Click> {
  const caller: Caller = await Caller.lobby(browser, link, 'Cleo');
  await caller.ready();
  // Whoever clicks has the page in front of them; Chromium gives a page behind others less of the processor.
  await caller.page.bringToFront();
  await sleep(1000);
  await caller.enter();
  await until('the first frame after the click', 10_000, async () => (await caller.moments()).firstFrame);
  const moments = await caller.moments();
  const { click: from = Number.NaN, enterSent = Number.NaN, entered = Number.NaN, firstPacket = Number.NaN, firstFrame = Number.NaN } = moments;
  await caller.leave();
  await caller.close();
  await sleep(500);
  return { sent: enterSent - from, entered: entered - from, firstPacket: firstPacket - from, firstFrame: firstFrame - from };
}

async function coldly(room: Room): Promise<ColdJoin> {
  const token: string = await service.token(room, 'Dan');
  return onFreshPage((page) => page.evaluate(cold, { url: socketUrl, token }));
}

/** On a page in front that has done nothing yet. */
async function onFreshPage<T>(measure: (page: Page) => Promise<T>): Promise<T> {
  const page: Page = await barePage();
  await page.bringToFront();
  await sleep(500);
  const measured: T = await measure(page);
  await page.context().close();
  await sleep(500);
  return measured;
}

/** A page of the service's origin with nothing on it. */
async function barePage(): Promise<Page> {
  const context = await browser.newContext({ permissions: ['camera', 'microphone'] });
  const page: Page = await context.newPage();
  await page.goto(`${service.url}/healthz`);
  return page;
}

function clickRows(clicks: readonly Click[]): Row[] {
  const of = (part: keyof Click): number[] => clicks.map((each) => each[part]);
  return [
    row('join', 'click_first_frame_ms_median', median(of('firstFrame')), 'ms', CLICK_AIM_MS),
    row('join', 'click_first_frame_ms_max', Math.max(...of('firstFrame')), 'ms'),
    row('join', 'click_sent_ms_median', median(of('sent')), 'ms'),
    row('join', 'click_entered_ms_median', median(of('entered')), 'ms'),
    row('join', 'click_first_packet_ms_median', median(of('firstPacket')), 'ms'),
  ];
}

function coldRows(colds: readonly ColdJoin[]): Row[] {
  const of = (part: keyof ColdMoments): number[] => colds.map(({ moments }) => moments[part]);
  const parts = ['offer', 'socketOpen', 'joined', 'ice', 'connected', 'firstPacket'] as const;
  const names = ['offer', 'socket_open', 'joined', 'ice', 'connected', 'first_packet'] as const;
  return [
    row('join', 'cold_first_frame_ms_median', median(of('firstFrame')), 'ms', COLD_AIM_MS),
    row('join', 'cold_first_frame_ms_max', Math.max(...of('firstFrame')), 'ms'),
    ...parts.map((part, at) => row('join', `cold_${names[at]}_ms_median`, median(of(part)), 'ms')),
    row('join', 'cold_keyframes_asked', colds.reduce((sum, { keyframesAsked }) => sum + keyframesAsked, 0), '', 0),
  ];
}

function aloneRows(alones: readonly AloneMoments[]): Row[] {
  return [
    row('join', 'browser_alone_first_frame_ms_median', median(alones.map(({ firstFrame }) => firstFrame)), 'ms'),
    row('join', 'browser_alone_answer_ms_median', median(alones.map(({ answer }) => answer)), 'ms'),
  ];
}
