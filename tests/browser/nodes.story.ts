/** Calls on media nodes in processes of their own. */
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

test('two people on a node see and hear each other, and again on another node when it dies', async () => {
  const first: ChildProcess = await dialIn('first');
  const { link } = await service.room('On a node');
  const people: Caller[] = [await Caller.join(browser, link, 'Ann'), await Caller.join(browser, link, 'Ben')];
  await Promise.all(people.map((person) => person.sees(1)));
  const met = await Promise.all(people.map((person) => person.seen()));
  await Promise.all(people.map((person, at) => person.seesAndHears(met[at]!)));
  await dialIn('second');
  first.kill('SIGKILL');
  await until('both pages to be told', 20_000, async () => (await Promise.all(people.map((person) => person.events()))).every((events) => events.includes('media_lost')));
  const lost = await Promise.all(people.map((person) => person.seen()));
  await Promise.all(people.map((person, at) => person.seesAndHears({ ...lost[at]!, framesDecoded: 0, totalAudioEnergy: 0 }, 30_000)));
  const again = await Promise.all(people.map((person) => person.seen()));
  await Promise.all(people.map((person, at) => person.seesAndHears(again[at]!)));
});
