/** Every codec that the media plane negotiates, and its layers, through the real service between two Chromiums' pages. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { Page } from 'playwright-core';
import { canSend, sent, show, shown, take, type Encoding, type Picture, type Shown } from './codec.ts';
import { until, type Room } from './service.ts';
import { openPage, setStage, type Stage } from './stage.ts';

const CODECS = ['video/VP8', 'video/VP9', 'video/H264', 'video/AV1'];
/**
 * Chromium makes three encodings from 960 pixels on, of VP9 and AV1 only when their mode is named, and no scalable layer below
 * 240 pixels. Ten frames a second are for two cores.
 */
const SIMULCAST: readonly Encoding[] = [
  { rid: 'q', scalabilityMode: 'L1T1', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scalabilityMode: 'L1T1', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', scalabilityMode: 'L1T1', scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
];

interface Pages {
  readonly publisher: Page;
  readonly viewer: Page;
}

const stage: Stage = setStage({ fps: 10 }, { shared: true });

/** A page for as long as a test takes. */
async function open(context: TestContext): Promise<Page> {
  const page: Page = await openPage(stage.browser, stage.service.url);
  context.after(() => page.context().close());
  return page;
}

/** A viewer of what somebody publishes, once something is shown; nothing when this Chromium cannot encode it. */
async function watched(context: TestContext, picture: Picture): Promise<Pages | null> {
  const room: Room = await stage.service.room(picture.mimeType);
  const url = stage.service.socketUrl;
  const [publisher, viewer] = [await open(context), await open(context)];
  if (!(await publisher.evaluate(canSend, picture.mimeType))) {
    context.skip(`this Chromium cannot encode ${picture.mimeType}`);
    return null;
  }
  await publisher.evaluate(take, { url, token: await stage.service.token(room, 'Ann'), name: 'Ann', picture });
  await viewer.evaluate(take, { url, token: await stage.service.token(room, 'Ben'), name: 'Ben' });
  await until('a picture', 20_000, () => viewer.evaluate(shown));
  return { publisher, viewer };
}

/** Waits for twenty frames of this width, one after the other. */
async function seesWidth({ publisher, viewer }: Pages, width: number): Promise<Shown> {
  let last: Shown | null = null;
  let first: number | null = null;
  const isSteady = async (): Promise<Shown | false> => {
    last = await viewer.evaluate(shown);
    if (last?.width !== width) first = null;
    else first ??= last.frames;
    return last !== null && first !== null && last.frames >= first + 20 && last;
  };
  try {
    return await until(`a steady picture ${width} pixels wide`, 45_000, isSteady);
  } catch (error) {
    throw new Error(`it is ${JSON.stringify(last)}; sent: ${await publisher.evaluate(sent)}`, { cause: error });
  }
}

/** Shows the picture large, small, larger and large again: its full width, a quarter and a half of it. */
async function isSwitched(context: TestContext, picture: Picture): Promise<void> {
  const pages = await watched(context, picture);
  if (pages === null) return;
  const { publisher, viewer } = pages;
  for (const width of [1, 4, 2, 1].map((part) => picture.width / part)) {
    await viewer.evaluate(show, width);
    const begun: number = performance.now();
    const { freezes } = await seesWidth(pages, width);
    context.diagnostic(`${width}: 20 frames after ${Math.round(performance.now() - begun)} ms, ${freezes} freezes so far`);
  }
  context.diagnostic(`sent: ${(await publisher.evaluate(sent)).join(', ')}`);
}

// Most of the time a test waits for the frames that it counts: two at a time, for two cores. A camera that somebody has open
// stays as wide as it is for whoever opens it next, so that the narrow and the wide never overlap.
describe('a narrow picture', { concurrency: 2 }, () => {
  for (const mimeType of CODECS) {
    test(`is published and shown in ${mimeType}`, async (context) => {
      const pages = await watched(context, { mimeType, width: 320, encodings: [{ maxBitrate: 200_000 }] });
      if (pages === null) return;
      assert.equal((await seesWidth(pages, 320)).mimeType, mimeType);
    });
  }
});

describe('a wide picture', { concurrency: 2 }, () => {
  for (const mimeType of CODECS) {
    test(`of three encodings in ${mimeType} is shown as wide as it is wanted`, (context) =>
      isSwitched(context, { mimeType, width: 960, encodings: SIMULCAST }));
  }

  for (const mimeType of ['video/VP9', 'video/AV1']) {
    for (const scalabilityMode of ['L3T3_KEY', 'L3T3']) {
      test(`of one scalable stream in ${mimeType} (${scalabilityMode}) is shown as wide as it is wanted`, (context) =>
        isSwitched(context, { mimeType, width: 960, encodings: [{ scalabilityMode, maxBitrate: 2_500_000 }] }));
    }
  }
});
