/**
 * The whole story without a human: two people talk for 20 s, the usage is metered, rated by the hour and summed into a
 * statement, the month ends, and the final statement opens down to the call. Every step is looked at, not assumed:
 * the exit status is 0 only if all of them were seen.
 *
 *     node tests/browser/demo.ts [--talk SECONDS]
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { Caller, openBrowser, OUT } from './caller.ts';
import { openConsole } from './console.ts';
import { endOfMonth, type Line, type Money, type Statement } from './money.ts';
import { ANN, BEN, portrait } from './portrait.ts';
import { ROOT, Service, until } from './service.ts';
import type { Seen } from './probe.ts';

const FOLDER: string = join(OUT, 'demo');
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true } as const;
const DESKTOP = { viewport: { width: 1280, height: 800 } } as const;

interface Hour {
  readonly hour: string;
  readonly participant_ms: number;
  readonly egress_bytes: number;
  readonly amount: Money;
}

const { values } = parseArgs({ options: { talk: { type: 'string', default: '20' } } });
const talkMs: number = Number(values.talk) * 1000;
const begun: number = performance.now();
let steps = 0;

mkdirSync(FOLDER, { recursive: true });
let service: Service | undefined;
const browsers: Browser[] = [];
try {
  service = await Service.start();
  step('The service is up', service.url);
  for (const [name, looks] of [['ann', ANN], ['ben', BEN]] as const) {
    browsers.push(await openBrowser({ video: portrait(join(OUT, `${name}.y4m`), looks) }));
  }
  const [annsBrowser, bensBrowser] = browsers as [Browser, Browser];
  const wallMs: number = await call(service, annsBrowser, bensBrowser);
  await usage(service, wallMs);
  const final: Statement = await month(service, wallMs);
  await takeApart(service, final);
  await pictures(service, annsBrowser, final);
  console.log(`\nSeen: ${steps} steps in ${((performance.now() - begun) / 1000).toFixed(0)} s. Screenshots: ${relative(ROOT, FOLDER)}/`);
} catch (error) {
  console.error(`\nNot seen: ${error instanceof Error ? error.message : String(error)}`);
  if (service) console.error(`\nThe service's last lines:\n${service.log()}`);
  process.exitCode = 1;
} finally {
  await Promise.all(browsers.map((browser) => browser.close()));
  await service?.stop();
}

/** Two people talk; answers how long they were in the call, added up. */
async function call(service: Service, annsBrowser: Browser, bensBrowser: Browser): Promise<number> {
  const { link } = await service.room('Coffee with Ben');
  const ann: Caller = await Caller.lobby(annsBrowser, link, 'Ann', DESKTOP);
  await ann.ready();
  await shot(ann.page, 'lobby-desktop');
  await ann.enter();
  step('Ann has joined', `${await joinTime(ann, 'entered')} ms from the click to the call`);
  const ben: Caller = await Caller.lobby(bensBrowser, link, 'Ben', PHONE);
  await ben.ready();
  await ben.enter();
  await Promise.all([ann.sees(1), ben.sees(1)]);
  await until('the first picture on both sides', 5000, async () => (await ann.moments()).firstFrame && (await ben.moments()).firstFrame);
  step('Ben has joined', `${await joinTime(ben, 'firstFrame')} ms from the click to the first picture`);
  await talk([ann, ben]);
  let sum = 0;
  for (const person of [ann, ben]) {
    await person.leave();
    sum += (await person.wall('leaveSent')) - (await person.wall('entered'));
  }
  step('Both have hung up', `${(sum / 1000).toFixed(1)} s of participant time on the wall clock`);
  await shot(ann.page, 'left-desktop');
  await Promise.all([ann.close(), ben.close()]);
  return sum;
}

/** Pictures and sound must go on arriving on both sides, all the time. */
async function talk(people: readonly Caller[]): Promise<void> {
  const end: number = performance.now() + talkMs;
  let last: Seen[] = await Promise.all(people.map((person) => person.seen()));
  let photographed = false;
  while (performance.now() < end) {
    await sleep(Math.min(5000, Math.max(0, end - performance.now())));
    const now: Seen[] = await Promise.all(people.map((person) => person.seen()));
    for (const [at, { name }] of people.entries()) {
      assert.ok(now[at]!.framesDecoded > last[at]!.framesDecoded, `${name} sees nothing new`);
      assert.ok(now[at]!.totalAudioEnergy > last[at]!.totalAudioEnergy, `${name} hears nothing new`);
      progress(`${name} has decoded ${now[at]!.framesDecoded} frames; heard audio energy ${now[at]!.totalAudioEnergy.toFixed(4)}`);
    }
    last = now;
    if (!photographed) {
      await shot(people[0]!.page, 'call-desktop');
      await shot(people[1]!.page, 'call-phone');
      photographed = true;
    }
  }
  step('They see and hear each other', people.map(({ name }, at) => `${name}: ${last[at]!.framesDecoded} frames, energy ${last[at]!.totalAudioEnergy.toFixed(4)}`).join('; '));
}

/** What was metered, and what each hour costs so far. */
async function usage(service: Service, wallMs: number): Promise<void> {
  const { calls } = await service.get<{ calls: { call_id: string }[] }>('/v1/calls');
  assert.equal(calls.length, 1, 'one call was made');
  interface Leg {
    path: string;
    end_reason: string;
    hours: Hour[];
  }
  const legs: Leg[] = await until('the last usage facts', 10_000, async () => {
    const found = await service.get<{ legs: Leg[] }>(`/v1/calls/${calls[0]!.call_id}`);
    const ms: number = total(found.legs.flatMap(({ hours }) => hours));
    return Math.abs(ms - wallMs) <= 1000 && found.legs;
  });
  step('The usage is metered', `${(total(legs.flatMap(({ hours }) => hours)) / 1000).toFixed(3)} s recorded`);
  for (const { path, end_reason, hours } of legs) {
    for (const { hour, participant_ms, egress_bytes } of hours) {
      progress(`leg over ${path}, ${end_reason}: hour ${hour}: ${participant_ms} participant-ms, ${egress_bytes} bytes out`);
    }
  }
  const { hours } = await service.get<{ hours: Hour[] }>('/v1/usage');
  const used: Hour[] = hours.filter(({ participant_ms }) => participant_ms > 0);
  assert.ok(used.length > 0, 'an hour with usage');
  step('Each hour is rated', `${used.length} ${used.length === 1 ? 'hour' : 'hours'} with usage`);
  for (const { hour, amount } of used) progress(`${hour}: ${money(amount)}`);
}

/** The draft, the end of the month, the final statement. */
async function month(service: Service, wallMs: number): Promise<Statement> {
  const draft: Statement = await service.get<Statement>('/v1/statements/draft');
  assert.equal(draft.status, 'draft');
  step('The draft statement', `so far this month ${money(draft.subtotal)}`);
  for (const line of draft.lines) progress(words(line));
  const { finalized } = await service.post<{ finalized: Statement[] }>('/v1/clock/advance', { to: endOfMonth(draft) });
  assert.equal(finalized.length, 1, 'one month ended');
  const final: Statement = await service.get<Statement>(`/v1/statements/${finalized[0]!.statement_id}`);
  assert.equal(final.status, 'final');
  step('The month has ended', `statement ${final.number}: ${money(final.total)}, carried to the next ${money(final.carried_out)}`);
  for (const line of final.lines) progress(words(line));
  progress(`the tab: ${money(final.tab.before)} before, ${money(final.tab.after)} now; ${final.tab.collect.decision}: ${final.tab.collect.why}`);
  const minutes: Line | undefined = final.lines.find(({ meter }) => meter === 'participant_ms');
  assert.ok(Math.abs((minutes?.quantity ?? 0) - wallMs) <= 1000, `the statement has ${minutes?.quantity} ms, the wall clock ${wallMs.toFixed(0)} ms`);
  return final;
}

/** A line, its hours, the calls of an hour, the people of a call. */
async function takeApart(service: Service, { statement_id, lines }: Statement): Promise<void> {
  const line: Line | undefined = lines.find(({ meter }) => meter === 'participant_ms');
  assert.ok(line, 'a line for participant time');
  const path = `/v1/statements/${statement_id}/lines/${line.line_id}/hours`;
  const { hours } = await service.get<{ hours: { hour: string; quantity: number; amount: Money }[] }>(path);
  const used = hours.filter(({ quantity }) => quantity > 0);
  assert.equal(used.reduce((all, { quantity }) => all + quantity, 0), line.quantity, 'the hours add up to the line');
  step('The line opens', `${line.description}: ${used.length} ${used.length === 1 ? 'hour' : 'hours'}`);
  for (const { hour, quantity, amount } of used) {
    progress(`${hour}: ${quantity} ms, ${money(amount)}`);
    interface Person {
      name: string;
      quantity: number;
    }
    const { calls } = await service.get<{ calls: { room_title: string; quantity: number; participants: Person[] }[] }>(`${path}/${encodeURIComponent(hour)}/calls`);
    assert.equal(calls.reduce((all, call) => all + call.quantity, 0), quantity, 'the calls add up to the hour');
    for (const call of calls) progress(`  ${call.room_title}: ${call.participants.map((person) => `${person.name} ${person.quantity} ms`).join(', ')}`);
  }
}

/** The console shows the same, on a desk and on a phone. */
async function pictures(service: Service, browser: Browser, { number }: Statement): Promise<void> {
  for (const [look, options] of [['desktop', DESKTOP], ['phone', PHONE]] as const) {
    const page: Page = await openConsole(browser, service, '/console', options);
    await shot(page, `console-${look}`);
    await openStatement(page, String(number));
    await shot(page, `statement-${look}`, true);
    await page.context().close();
  }
  step('The console shows it', `statement ${number}, opened down to the call`);
}

async function openStatement(page: Page, number: string): Promise<void> {
  await page.getByRole('link', { name: /^statements/i }).first().click();
  await page.getByRole('link', { name: new RegExp(number) }).first().click();
  await page.getByRole('button', { name: /participant/i }).first().click();
  await page.getByRole('button', { name: /\d{1,2}:00/ }).first().click();
  await page.getByText('Coffee with Ben').first().waitFor();
}

async function joinTime(caller: Caller, to: 'entered' | 'firstFrame'): Promise<string> {
  const { click = Number.NaN, [to]: then = Number.NaN } = await caller.moments();
  assert.ok(then > click, `${caller.name} has no time of ${to}`);
  return (then - click).toFixed(0);
}

async function shot(page: Page, name: string, fullPage = false): Promise<void> {
  await page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage });
}

function total(hours: readonly Hour[]): number {
  return hours.reduce((all, { participant_ms }) => all + participant_ms, 0);
}

function words({ description, quantity, unit, unit_size, amount }: Line): string {
  const used: string = quantity === null ? '' : `${(quantity / unit_size).toFixed(4)} ${unit}, `;
  return `${description}: ${used}${money(amount)}`;
}

function money({ amount, currency }: Money): string {
  return `${amount} ${currency}`;
}

function step(what: string, figures: string): void {
  steps += 1;
  console.log(`[${((performance.now() - begun) / 1000).toFixed(1).padStart(5)} s] ${what}: ${figures}`);
}

function progress(line: string): void {
  console.log(`           ${line}`);
}
