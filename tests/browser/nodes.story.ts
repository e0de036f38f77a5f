/** Calls on media nodes in processes of their own. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { Caller, openBrowser } from './caller.ts';
import { binary, Service, until } from './service.ts';

let service: Service;
let browser: Browser;
const running: ChildProcess[] = [];

before(async () => {
  service = await Service.start({ TUPPENCE_MEDIA_NODE: 'false', TUPPENCE_NODE_LEASE_S: '5' });
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  for (const node of running) node.kill('SIGKILL');
  await service?.stop();
});

/** Starts a node and waits until the hub has taken it. */
async function dialIn(name: string): Promise<ChildProcess> {
  const { DATABASE_URL: _, ...inherited } = process.env;
  const token: string = execFileSync(binary(), ['nodes', 'add', name], { env: { ...inherited, TUPPENCE_DATA_DIR: join(service.dir, 'data') } }).toString().trim();
  const dir: string = join(service.dir, name);
  mkdirSync(dir);
  const log: number = openSync(join(dir, 'log'), 'a');
  const node: ChildProcess = spawn(binary(), ['node'], {
    env: { ...inherited, TUPPENCE_HUB: service.url, TUPPENCE_NODE_TOKEN: token, TUPPENCE_DATA_DIR: join(dir, 'data'), TUPPENCE_MEDIA_LISTEN: '127.0.0.1:0' },
    stdio: ['ignore', 'ignore', log],
  });
  closeSync(log);
  running.push(node);
  await until(`${name} to be taken`, 15_000, () => readFileSync(join(dir, 'log'), 'utf8').includes('the hub takes this node'));
  return node;
}

/** Notes what the page shows from now on: its phase and how its line is. */
async function watch(person: Caller): Promise<() => Promise<readonly string[]>> {
  await person.page.evaluate(() => {
    const room: HTMLElement = document.querySelector('call-room')!;
    const shown: string[] = [];
    const note = (): void => {
      const banner: string = room.shadowRoot?.querySelector('.banner')?.textContent ?? '';
      const now: string = `${room.dataset['state']} ${room.dataset['link']} ${banner.split('…')[0]}`.trim();
      if (shown.at(-1) !== now) shown.push(now);
    };
    note();
    new MutationObserver(note).observe(room, { attributeFilter: ['data-state', 'data-link'] });
    Object.assign(window, { shown });
  });
  return () => person.page.evaluate(() => (window as unknown as { shown: string[] }).shown);
}

test('two people on a node see and hear each other, and again on another node when it dies, without a click', async () => {
  const first: ChildProcess = await dialIn('first');
  const { link } = await service.room('On a node');
  const people: Caller[] = [await Caller.join(browser, link, 'Ann'), await Caller.join(browser, link, 'Ben')];
  await Promise.all(people.map((person) => person.sees(1)));
  const met = await Promise.all(people.map((person) => person.seen()));
  await Promise.all(people.map((person, at) => person.seesAndHears(met[at]!)));
  await dialIn('second');
  const shown = await Promise.all(people.map(watch));
  first.kill('SIGKILL');
  await until('both pages to be told', 20_000, async () => (await Promise.all(people.map((person) => person.events()))).every((events) => events.includes('media_lost')));
  const lost = await Promise.all(people.map((person) => person.seen()));
  await Promise.all(people.map((person, at) => person.seesAndHears({ ...lost[at]!, framesDecoded: 0, totalAudioEnergy: 0 }, 30_000)));
  const again = await Promise.all(people.map((person) => person.seen()));
  await Promise.all(people.map((person, at) => person.seesAndHears(again[at]!)));
  for (const [at, person] of people.entries()) {
    // The browser may notice that nothing comes before the hub does, and the page says so. Nothing else comes between.
    const phases: string = (await shown[at]!()).join(' > ');
    assert.match(phases, /^live open( > live open Your network is interrupted[^>]*)? > live rejoining Reconnecting > live open$/, `${person.name} never saw the end page`);
    const frames = await person.page.evaluate(() => window.probe.frames);
    const lostAt: number = frames.find(({ event }) => event === 'media_lost')!.at;
    const back = frames.filter(({ out, type, event, at: when }) => when > lostAt && (type === 'rejoin' || (!out && event === 'entered')));
    assert.deepEqual(back.map(({ type }) => type), ['rejoin', 'event'], `${person.name} came back with the secret, at the first attempt`);
    console.log(`${person.name} was in the call again ${Math.round(back.at(-1)!.at - lostAt)} ms after being told`);
  }
});
