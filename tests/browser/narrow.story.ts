/** Somebody behind a bad line: a real Chromium in a network of its own, on a link that is shaped and loses packets. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { publish, voice, watch, type Publisher, type Voice } from './bare.ts';
import { Caller, chromiumPath, openBrowser, OUT } from './caller.ts';
import { Link } from './link.ts';
import { ANN, portrait } from './portrait.ts';
import { Service, until, type Room } from './service.ts';
import { openPage } from './stage.ts';

/** How wide the two layers of the noise are. */
const [LOW, FULL] = [160, 640];
/** And the smallest and the largest of the camera, which shows somebody who nods and talks. */
const [SMALL, LARGE] = [240, 960];
/** No picture stands still for longer when its layer changes. */
const FREEZE_MS_MAX = 500;

/** What came of the voice in some seconds; `concealed` is the part of it that was made up. */
type Heard = Pick<Voice, 'packets' | 'lost' | 'concealed'>;

describe('behind a bad line', { skip: Link.missing() }, () => {
  let link: Link;
  let service: Service;
  let outside: Browser;
  let inside: Browser;
  let page: Page;

  before(async () => {
    link = Link.open(chromiumPath());
    service = await Service.start({}, link.here);
    link.trust(service.url);
    outside = await openBrowser({ video: portrait(join(OUT, 'ann.y4m'), ANN) });
    inside = await openBrowser({ program: link.inside });
  });

  after(async () => {
    await inside?.close();
    await outside?.close();
    await service?.stop();
    link?.close();
  });

  /** A publisher outside. */
  async function publishes(room: Room, how: Partial<Publisher> = {}): Promise<void> {
    // Cameras are for pages from this machine only.
    const url: string = service.url.replace(link.here, 'localhost');
    const publisher: Page = await openPage(outside, url);
    const token: string = await service.token(room, 'Ann');
    await publisher.evaluate(publish, { url: service.socketUrl.replace(link.here, 'localhost'), token, name: 'Ann', noise: true, ...how });
  }

  /** A publisher outside, somebody who watches inside, and the full picture on a line without limits. */
  async function opens(how: Partial<Publisher> = {}, full = FULL): Promise<void> {
    link.heal();
    const room: Room = await service.room('Line');
    await publishes(room, how);
    page = await openPage(inside, service.url);
    await page.evaluate(watch, { url: service.socketUrl, token: await service.token(room, 'Ben'), name: 'Ben' });
    await shows(full, 30_000);
  }

  afterEach(async () => {
    await Promise.all([...inside.contexts(), ...outside.contexts()].map((context) => context.close()));
  });

  const frames = () => page.evaluate(() => window.watched.frames);
  const clock = () => page.evaluate(() => performance.now());

  /** Waits for a frame of this width that comes after now; answers how long that took. */
  async function shows(width: number, limitMs: number): Promise<number> {
    const begun: number = await clock();
    const frame = await until(`a frame ${width} pixels wide`, limitMs, async () =>
      (await frames()).find((one) => one.at >= begun && one.width === width),
    );
    return frame.at - begun;
  }

  /** The longest time between two frames since then, in milliseconds, and how often the width changed. */
  async function since(begun: number): Promise<{ longest: number; changes: number }> {
    const shown = (await frames()).filter(({ at }) => at >= begun);
    const pairs = shown.slice(1).map((frame, n) => ({ gap: frame.at - shown[n]!.at, changed: frame.width !== shown[n]!.width }));
    return { longest: Math.max(...pairs.map(({ gap }) => gap)), changes: pairs.filter(({ changed }) => changed).length };
  }

  /** What came of the voice in each of three times 5 s. */
  async function listen(t: TestContext): Promise<Heard[]> {
    await sleep(3_000);
    const heard: Heard[] = [];
    let last: Voice = await page.evaluate(voice);
    for (let round = 0; round < 3; round++) {
      await sleep(5_000);
      const now: Voice = await page.evaluate(voice);
      const [packets, lost] = [now.packets - last.packets, now.lost - last.lost];
      const concealed: number = (now.concealed - last.concealed) / (now.samples - last.samples);
      t.diagnostic(`5 s: ${packets} packets came, ${lost} did not, ${Math.round(concealed * 100)} % concealed`);
      assert.ok(lost > packets / 10, 'the line does lose packets');
      assert.ok(now.energy > last.energy, 'it is a voice and not silence');
      heard.push({ packets, lost, concealed });
      last = now;
    }
    return heard;
  }

  test('at 30 % loss the voice goes on', async (t) => {
    await opens();
    link.lose(30);
    for (const { packets, concealed } of await listen(t)) {
      // 250 were sent: what the line lets through is not held up by pictures.
      assert.ok(packets > 130, `${packets} packets of a voice in 5 s`);
      assert.ok(concealed < 0.5, `${concealed} of the voice is made up`);
    }
  });

  test('at 20 % loss most of what a redundant voice loses is heard all the same', async (t) => {
    await opens({ red: true });
    link.lose(20);
    const heard = await listen(t);
    const sum = (what: (one: Heard) => number): number => heard.reduce((all, one) => all + what(one), 0);
    const [lost, concealed] = [sum(({ lost }) => lost) / sum(({ lost, packets }) => lost + packets), sum(({ concealed }) => concealed) / heard.length];
    // Two packets in a row are lost once in 25, and then nothing can be done.
    assert.ok(concealed < lost / 2, `${lost} of the packets lost, ${concealed} of the voice made up`);
  });

  test('at 300 kbit/s the picture falls to the low layer within 3 s, and comes back within 10 s after the line heals', async (t) => {
    await opens();
    link.narrow(3_000);
    await sleep(5_000);
    link.narrow(300);
    const down: number = await shows(LOW, 10_000);
    t.diagnostic(`the low layer after ${Math.round(down)} ms`);
    const narrow: number = await clock();
    await sleep(10_000);
    const steady = await since(narrow + 2_000);
    t.diagnostic(`at 300 kbit/s: longest gap ${Math.round(steady.longest)} ms, ${steady.changes} changes of layer`);
    link.narrow(3_000);
    const up: number = await shows(FULL, 20_000);
    t.diagnostic(`the full picture ${Math.round(up)} ms after the line healed`);
    assert.ok(down <= 3_000, `the low layer after ${down} ms`);
    assert.ok(up <= 10_000, `the full picture after ${up} ms`);
  });

  test('a picture that the line does not take says so, the voice goes on, and the picture is back when the line is', async () => {
    link.heal();
    const room: Room = await service.room('Slow');
    await publishes(room);
    const ben: Caller = await Caller.join(inside, room.link, 'Ben');
    await ben.sees(1);
    const note = ben.page.getByText('Paused: your connection is slow');
    assert.equal(await note.count(), 0);
    link.narrow(80);
    await note.waitFor({ timeout: 30_000 });
    const before = await ben.seen();
    await until('the voice', 10_000, async () => (await ben.seen()).totalAudioEnergy > before.totalAudioEnergy);
    await ben.screenshot(OUT, 'call-paused');
    link.heal();
    await note.waitFor({ state: 'detached', timeout: 30_000 });
    const frames: number = (await ben.seen()).framesDecoded;
    await until('the picture', 20_000, async () => (await ben.seen()).framesDecoded > frames + 10);
  });

  test('no picture stands still when its layer changes', async (t) => {
    await opens({ noise: false }, LARGE);
    const changes: { from: number; to: number }[] = [];
    for (const width of [SMALL, LARGE, SMALL, LARGE, SMALL, LARGE]) {
      // Nothing changes for a while, so that it is seen what the encoder and this machine leave between two frames themselves.
      await sleep(3_000);
      const from: number = await clock();
      await page.evaluate((wide) => window.watched.show(wide), width);
      await shows(width, 10_000);
      changes.push({ from, to: (await clock()) + 1_000 });
    }
    await sleep(1_500);
    const shown = await frames();
    const gaps = shown.slice(1).map(({ at }, n) => ({ at, ms: at - shown[n]!.at }));
    const isOfChange = ({ at }: { at: number }): boolean => changes.some(({ from, to }) => at >= from && at <= to);
    const longest = (some: typeof gaps): number => Math.round(Math.max(...some.map(({ ms }) => ms)));
    const begun: number = changes[0]!.from - 2_000;
    const still: number = longest(gaps.filter((gap) => gap.at >= begun && !isOfChange(gap)));
    for (const change of changes) t.diagnostic(`a change: longest gap ${longest(gaps.filter(({ at }) => at >= change.from && at <= change.to))} ms`);
    t.diagnostic(`without a change: longest gap ${still} ms`);
    const freeze: number = longest(gaps.filter(isOfChange));
    assert.ok(freeze <= FREEZE_MS_MAX, `a picture stood still for ${freeze} ms, and for ${still} ms where nothing changed`);
  });
});
