import { describe, expect, test } from 'vitest';
import { FakeTrack } from '../test/browser.ts';
import { LocalMedia, troubleOf, type Devices, type SourceState } from './local-media.ts';

function setUp(answer: (wish: MediaStreamConstraints) => FakeTrack | Error) {
  const told: string[] = [];
  const tracks: FakeTrack[] = [];
  const devices = {
    getUserMedia: async (wish: MediaStreamConstraints) => {
      const got = answer(wish);
      if (got instanceof Error) throw got;
      tracks.push(got);
      const both: boolean = Boolean(wish.audio && wish.video);
      return { getTracks: () => [got], getAudioTracks: () => (wish.audio ? [got] : []), getVideoTracks: () => (both ? [new FakeTrack('cam')] : [got]) } as unknown as MediaStream;
    },
  } as unknown as Devices;
  const say = (state: SourceState): string => (state.is === 'on' ? `on${state.muted ? ' muted' : ''}` : state.is === 'trouble' ? state.trouble : state.is);
  const media = new LocalMedia(devices, (source, state) => told.push(`${source} ${say(state)}`));
  return { media, told, tracks };
}

const error = (name: string): Error => Object.assign(new Error(name), { name });

describe('a microphone', () => {
  test('is on when the browser has given it', async () => {
    const { media, told } = setUp(() => new FakeTrack('mic'));
    const opening = media.open('microphone');
    expect(told).toEqual(['microphone starting']);
    await opening;
    expect(told.at(-1)).toBe('microphone on');
  });

  test('is muted without being let go, and stays muted on another device', async () => {
    const { media, told, tracks } = setUp(() => new FakeTrack('mic'));
    await media.open('microphone');
    media.mute('microphone', true);
    expect(tracks[0]).toMatchObject({ enabled: false, stopped: false });
    await media.open('microphone', 'other');
    expect(told.at(-1)).toBe('microphone on muted');
    expect(tracks[0]?.stopped).toBe(true);
  });

  test('that is pulled out is missing', async () => {
    const { media, told, tracks } = setUp(() => new FakeTrack('mic'));
    await media.open('microphone');
    tracks[0]?.onended?.();
    expect(told.at(-1)).toBe('microphone missing');
  });
});

describe('microphone and camera together', () => {
  test('are asked for once', async () => {
    let asked = 0;
    const { media, told } = setUp(() => (asked++, new FakeTrack('mic')));
    await media.openBoth({});
    expect(asked).toBe(1);
    expect(told.slice(-2).sort()).toEqual(['camera on', 'microphone on']);
  });

  test('are had alone when one of them cannot be had', async () => {
    const { media, told } = setUp((wish) => (wish.video ? error('NotFoundError') : new FakeTrack('mic')));
    await media.openBoth({});
    expect(told.slice(-2).sort()).toEqual(['camera missing', 'microphone on']);
  });
});

test('a remembered device that is gone is replaced by whichever there is', async () => {
  const { media, told } = setUp((wish) => (typeof wish.video === 'object' && wish.video.deviceId ? error('OverconstrainedError') : new FakeTrack('cam')));
  expect(await media.open('camera', 'gone')).toBe(true);
  expect(told.at(-1)).toBe('camera on');
});

test('a camera closed while it was opening stays closed', async () => {
  const { media, told, tracks } = setUp(() => new FakeTrack('cam'));
  const opening = media.open('camera');
  media.close('camera');
  await opening;
  expect(told.at(-1)).toBe('camera off');
  expect(tracks[0]?.stopped).toBe(true);
});

test.each([
  ['NotAllowedError', 'denied'],
  ['NotFoundError', 'missing'],
  ['NotReadableError', 'busy'],
  ['TypeError', 'failed'],
])('%s is %s', (name, trouble) => expect(troubleOf(error(name))).toBe(trouble));

test('without a secure page there are no devices', async () => {
  const told: SourceState[] = [];
  await new LocalMedia(undefined, (_source, state) => told.push(state)).open('camera');
  expect(told.at(-1)).toEqual({ is: 'trouble', trouble: 'insecure' });
});
