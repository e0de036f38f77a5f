import type { Source } from './protocol.ts';

/** Why a device could not be opened. */
export type DeviceTrouble = 'denied' | 'missing' | 'busy' | 'insecure' | 'failed';

/** What one of our own sources does, as its track says. */
export type SourceState =
  | { readonly is: 'off' }
  | { readonly is: 'starting' }
  | { readonly is: 'on'; readonly label: string; readonly deviceId: string; readonly muted: boolean }
  | { readonly is: 'trouble'; readonly trouble: DeviceTrouble };

export interface DeviceInfo {
  readonly kind: 'audioinput' | 'videoinput' | 'audiooutput';
  readonly deviceId: string;
  readonly label: string;
}

/** The part of `navigator.mediaDevices` that is used; tests bring their own. */
export type Devices = Pick<
  MediaDevices,
  'getUserMedia' | 'getDisplayMedia' | 'enumerateDevices' | 'addEventListener' | 'removeEventListener'
>;

type Change = (source: Source, state: SourceState, track: MediaStreamTrack | null) => void;

const AUDIO: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
// 960 × 540 is the smallest capture from which browsers send all three layers.
const VIDEO: MediaTrackConstraints = { width: { ideal: 960 }, height: { ideal: 540 }, frameRate: { ideal: 30, max: 30 } };

/** Our own camera, microphone and screen. Every change is told after the browser confirmed it, never before. */
export class LocalMedia {
  readonly #devices: Devices | undefined;
  readonly #change: Change;
  readonly #tracks = new Map<Source, MediaStreamTrack>();
  readonly #turn = new Map<Source, number>();

  constructor(devices: Devices | undefined, change: Change) {
    this.#devices = devices;
    this.#change = change;
  }

  track(source: Source): MediaStreamTrack | undefined {
    return this.#tracks.get(source);
  }

  /** Opens microphone and camera with one question to the person; each alone if they cannot be had together. */
  async openBoth(deviceIds: { readonly microphone?: string | undefined; readonly camera?: string | undefined }): Promise<void> {
    const turns = [this.#takeTurn('microphone'), this.#takeTurn('camera')] as const;
    this.#change('microphone', { is: 'starting' }, null);
    this.#change('camera', { is: 'starting' }, null);
    const audio: MediaTrackConstraints = { ...AUDIO, ...exactly(deviceIds.microphone) };
    const video: MediaTrackConstraints = { ...VIDEO, ...exactly(deviceIds.camera) };
    const stream: MediaStream | undefined = await this.#devices?.getUserMedia({ audio, video }).catch(() => undefined);
    const take = async (source: 'microphone' | 'camera', turn: number, track: MediaStreamTrack | undefined): Promise<void> => {
      if (this.#turn.get(source) !== turn) return track?.stop();
      if (track) return this.#keep(source, track);
      await this.open(source, deviceIds[source]);
    };
    await Promise.all([take('microphone', turns[0], stream?.getAudioTracks()[0]), take('camera', turns[1], stream?.getVideoTracks()[0])]);
  }

  /** Opens the microphone or the camera, or changes to another device. Answers whether a track is there. */
  async open(source: 'microphone' | 'camera', deviceId?: string): Promise<boolean> {
    const turn: number = this.#takeTurn(source);
    // A camera that is in use elsewhere in this page often refuses a second opening: let go first.
    if (source === 'camera') this.#stop(source);
    if (!this.#tracks.has(source)) this.#change(source, { is: 'starting' }, null);
    const wasMuted: boolean = this.#tracks.get(source)?.enabled === false;
    const got: MediaStreamTrack | DeviceTrouble = await this.#ask(source, deviceId);
    if (this.#turn.get(source) !== turn) {
      if (typeof got !== 'string') got.stop();
      return this.#tracks.has(source);
    }
    if (typeof got === 'string') {
      this.#stop(source);
      this.#change(source, { is: 'trouble', trouble: got }, null);
      return false;
    }
    got.enabled = !wasMuted;
    this.#keep(source, got);
    return true;
  }

  /** Asks for a screen, window or tab, with its sound where the browser offers it. */
  async openScreen(): Promise<DeviceTrouble | 'ok'> {
    if (!this.#devices?.getDisplayMedia) return 'missing';
    try {
      const stream: MediaStream = await this.#devices.getDisplayMedia({
        video: { frameRate: { ideal: 15, max: 30 } },
        audio: true,
        ...{ systemAudio: 'include', surfaceSwitching: 'include', selfBrowserSurface: 'exclude' },
      });
      const [picture] = stream.getVideoTracks();
      const [sound] = stream.getAudioTracks();
      if (sound) this.#keep('screen_audio', sound);
      if (picture) {
        picture.contentHint = 'detail';
        this.#keep('screen', picture);
      }
      return 'ok';
    } catch (cause) {
      return troubleOf(cause);
    }
  }

  /** Silences the microphone without letting it go, so that unmuting is immediate. */
  mute(source: 'microphone', muted: boolean): void {
    const track: MediaStreamTrack | undefined = this.#tracks.get(source);
    if (!track) return;
    track.enabled = !muted;
    this.#tell(source, track);
  }

  /** Lets a source go: the camera's light goes out. */
  close(source: Source): void {
    this.#takeTurn(source);
    this.#stop(source);
    this.#change(source, { is: 'off' }, null);
  }

  closeAll(): void {
    for (const source of [...this.#tracks.keys()]) this.close(source);
  }

  /** The devices there are; names come only after the person has allowed one. */
  async list(): Promise<readonly DeviceInfo[]> {
    const all: readonly MediaDeviceInfo[] = (await this.#devices?.enumerateDevices().catch(() => [])) ?? [];
    return all.filter(({ deviceId }) => deviceId !== '').map(({ kind, deviceId, label }) => ({ kind, deviceId, label }));
  }

  /** Calls back when a device is plugged in or pulled out. */
  watch(changed: () => void): () => void {
    this.#devices?.addEventListener('devicechange', changed);
    return () => this.#devices?.removeEventListener('devicechange', changed);
  }

  async #ask(source: 'microphone' | 'camera', deviceId?: string): Promise<MediaStreamTrack | DeviceTrouble> {
    if (!this.#devices) return 'insecure';
    const wish: MediaStreamConstraints =
      source === 'camera' ? { video: { ...VIDEO, ...exactly(deviceId) } } : { audio: { ...AUDIO, ...exactly(deviceId) } };
    try {
      const stream: MediaStream = await this.#devices.getUserMedia(wish);
      return stream.getTracks()[0] ?? 'missing';
    } catch (cause) {
      // A remembered device that is gone: take whichever there is.
      if (deviceId && troubleOf(cause) === 'missing') return this.#ask(source);
      return troubleOf(cause);
    }
  }

  #keep(source: Source, track: MediaStreamTrack): void {
    this.#stop(source);
    this.#tracks.set(source, track);
    track.onended = () => {
      if (this.#tracks.get(source) !== track) return;
      this.#tracks.delete(source);
      const stopped: SourceState = source === 'camera' || source === 'microphone' ? { is: 'trouble', trouble: 'missing' } : { is: 'off' };
      this.#change(source, stopped, null);
    };
    this.#tell(source, track);
  }

  #tell(source: Source, track: MediaStreamTrack): void {
    const deviceId: string = track.getSettings().deviceId ?? '';
    this.#change(source, { is: 'on', label: track.label, deviceId, muted: !track.enabled }, track);
  }

  #stop(source: Source): void {
    const track: MediaStreamTrack | undefined = this.#tracks.get(source);
    this.#tracks.delete(source);
    if (!track) return;
    track.onended = null;
    track.stop();
  }

  #takeTurn(source: Source): number {
    const turn: number = (this.#turn.get(source) ?? 0) + 1;
    this.#turn.set(source, turn);
    return turn;
  }
}

function exactly(deviceId: string | undefined): MediaTrackConstraints {
  return deviceId ? { deviceId: { exact: deviceId } } : {};
}

/** Tells the reasons apart that a person can do something about. */
export function troubleOf(cause: unknown): DeviceTrouble {
  switch ((cause as { name?: string } | null)?.name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return 'denied';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'missing';
    case 'NotReadableError':
    case 'AbortError':
      return 'busy';
    default:
      return 'failed';
  }
}
