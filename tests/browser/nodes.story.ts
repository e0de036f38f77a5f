/** Calls on media nodes in processes of their own. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser } from 'playwright-core';
import { Caller, openBrowser } from './caller.ts';
import { binary, Service, until } from './service.ts';

let service: Service;
let browser: Browser;
const running: ChildProcess[] = [];

before(async () => {
  service = await Service.start({ TUPPENCE_MEDIA_NODE: 'false', TUPPENCE_NODE_LEASE_S: '5' });
  // While a call goes over every page encodes twice, and here all pages share two cores.
  browser = await openBrowser({ fps: 10 });
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

/** Tells a node to stop; answers what it ended with. */
async function stops(node: ChildProcess): Promise<number | null | 'too late'> {
  const ended = new Promise<number | null>((done) => node.once('exit', (code) => done(code)));
  node.kill('SIGTERM');
  return Promise.race([ended, sleep(60_000).then(() => 'too late' as const)]);
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

/** Notes when each frame of somebody else's picture is shown; answers the longest time that a picture stood still, in ms. */
async function watchPictures(person: Caller): Promise<() => Promise<{ readonly frames: number; readonly stoodStillMs: number }>> {
  await person.page.evaluate(() => {
    const shown: number[] = [];
    const known = new Set<HTMLVideoElement>();
    const look = (video: HTMLVideoElement): void => {
      video.requestVideoFrameCallback((now, { receiveTime }) => {
        // The own camera's frames were not received.
        if (receiveTime !== undefined && video.isConnected) shown.push(now);
        look(video);
      });
    };
    const find = (root: ParentNode): void => {
      for (const element of root.querySelectorAll('*')) {
        if (element instanceof HTMLVideoElement && !known.has(element)) look(known.add(element) && element);
        if (element.shadowRoot) find(element.shadowRoot);
      }
    };
    setInterval(() => find(document), 50);
    Object.assign(window, { pictures: shown });
  });
  return () =>
    person.page.evaluate(() => {
      const at: number[] = [...(window as unknown as { pictures: number[] }).pictures, performance.now()];
      const gaps: number[] = at.slice(1).map((now, index) => now - at[index]!);
      return { frames: gaps.length, stoodStillMs: Math.round(Math.max(...gaps)) };
    });
}

/** What each connection of a call used, by participant. */
async function participantMs(callId: string): Promise<ReadonlyMap<string, number>> {
  const { legs } = await service.get<{ legs: readonly { participant_id: string; hours: readonly { participant_ms: number }[] }[] }>(`/v1/calls/${callId}`);
  const sums = new Map<string, number>();
  for (const { participant_id, hours } of legs) sums.set(participant_id, hours.reduce((sum, hour) => sum + hour.participant_ms, sums.get(participant_id) ?? 0));
  return sums;
}

test('a node that is told to stop lets its people go over to another: no picture stands still, and their time is counted once', async () => {
  const first: ChildProcess = await dialIn('leaving');
  const { room_id, link } = await service.room('On a node that stops');
  const people: Caller[] = [await Caller.join(browser, link, 'Ann'), await Caller.join(browser, link, 'Ben')];
  const { calls } = await service.get<{ calls: readonly { call_id: string; room_id: string }[] }>('/v1/calls?live=true');
  const call = calls.find((one) => one.room_id === room_id);
  await Promise.all(people.map((person) => person.sees(1)));
  const met = await Promise.all(people.map((person) => person.seen()));
  await Promise.all(people.map((person, at) => person.seesAndHears(met[at]!)));
  const staying: ChildProcess = await dialIn('staying');
  const before: ReadonlyMap<string, number> = await participantMs(call!.call_id);
  const begun: number = performance.now();
  const shown = await Promise.all(people.map(watch));
  const pictures = await Promise.all(people.map(watchPictures));
  await sleep(2_000);
  const told: number = performance.now();
  assert.equal(await stops(first), 0, 'the node ends in order, within its deadline');
  console.log(`the node was empty and ended ${Math.round(performance.now() - told)} ms after SIGTERM`);
  await sleep(3_000);
  for (const [at, person] of people.entries()) {
    const { frames, stoodStillMs } = await pictures[at]!();
    console.log(`${person.name} was shown ${frames} frames; the longest wait for one was ${stoodStillMs} ms`);
    assert.ok(frames > 50 && stoodStillMs < 1_000, `${person.name}'s picture of the other stood still for ${stoodStillMs} ms`);
    assert.deepEqual(await shown[at]!(), ['live open'], `${person.name} saw that nothing happened`);
    const events: readonly string[] = await person.events();
    assert.ok(events.includes('move') && !events.includes('media_lost'), `${person.name} heard ${events.join(' ')}`);
  }
  const now = await Promise.all(people.map((person) => person.seen()));
  await Promise.all(people.map((person, at) => person.seesAndHears(now[at]!)));
  const after: ReadonlyMap<string, number> = await participantMs(call!.call_id);
  const passedMs: number = performance.now() - begun;
  assert.equal(after.size, 2, 'two people, as before');
  for (const [participant, ms] of after) {
    const counted: number = ms - before.get(participant)!;
    console.log(`${participant}: ${counted} ms counted in ${Math.round(passedMs)} ms`);
    // What is reported is a second or two behind what has happened, at both ends.
    assert.ok(Math.abs(counted - passedMs) < 2_000, `${counted} ms were counted in ${Math.round(passedMs)} ms`);
  }
  await Promise.all(people.map((person) => person.close()));
  // The next call is to find its own node.
  assert.equal(await stops(staying), 0);
});

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
