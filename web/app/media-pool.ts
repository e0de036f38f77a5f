import type { Place } from '../sdk/call-store/state.ts';

/**
 * Video and audio elements of the receive places, one for each, made while the person still looks at the device
 * check: when the first packet comes everything that shows it is there already.
 */
export class MediaPool {
  readonly #videos = new Map<string, HTMLVideoElement>();
  readonly #audios = new Map<string, HTMLAudioElement>();
  /** Of tracks that are about to be shown. */
  readonly #ahead = new Map<MediaStreamTrack, HTMLVideoElement>();
  /** Whose picture each place showed last. */
  readonly #owners = new Map<string, string>();
  readonly #speakers: HTMLElement;
  readonly #firstFrame: (video: HTMLVideoElement) => void;
  readonly #blocked: () => void;
  #sinkId = '';

  /** `speakers` holds the audio elements; `firstFrame` is called when a place shows its first picture. */
  constructor(speakers: HTMLElement, calls: { readonly firstFrame: (video: HTMLVideoElement) => void; readonly blocked: () => void }) {
    this.#speakers = speakers;
    this.#firstFrame = calls.firstFrame;
    this.#blocked = calls.blocked;
  }

  /** Has an element for each place, playing that place's track. */
  fit(places: readonly Place[], trackOf: (mid: string) => MediaStreamTrack | undefined): void {
    for (const { mid, kind } of places) {
      const track: MediaStreamTrack | undefined = trackOf(mid);
      if (!track) continue;
      if (kind === 'video') this.#play(this.#videoFor(mid, track), track);
      else this.#play(this.#audioFor(mid), track);
    }
    this.#ahead.clear();
  }

  /** Plays pictures that are about to be shown, so that their places change from one frame to the next. */
  prepare(tracks: readonly MediaStreamTrack[]): void {
    this.#ahead.clear();
    for (const track of tracks.filter(({ kind }) => kind === 'video')) {
      const video: HTMLVideoElement = this.#newVideo();
      this.#play(video, track);
      this.#ahead.set(track, video);
    }
  }

  /**
   * Takes whose picture each place shows from now on. What is left of the one before is not to be seen under another
   * name, nor after a pause: such a video is marked `data-stale` until something newer has come.
   */
  assign(places: readonly Place[]): void {
    for (const { mid, participantId, source, paused } of places) {
      const video: HTMLVideoElement | undefined = this.#videos.get(mid);
      const owner: string = participantId === null || paused ? '' : `${participantId} ${source}`;
      const before: string | undefined = this.#owners.get(mid);
      if (!video || owner === (before ?? '')) continue;
      this.#owners.set(mid, owner);
      if (before !== undefined && owner !== '') this.#hideUntilRenewed(video);
    }
  }

  video(mid: string): HTMLVideoElement | undefined {
    return this.#videos.get(mid);
  }

  get videos(): ReadonlyMap<string, HTMLVideoElement> {
    return this.#videos;
  }

  /** Sends the sound to another loudspeaker. */
  useSpeaker(sinkId: string): void {
    this.#sinkId = sinkId;
    for (const audio of this.#audios.values()) void audio.setSinkId?.(sinkId).catch(() => {});
  }

  /** Starts what the browser did not let start before a click. */
  resume(): void {
    for (const element of [...this.#audios.values(), ...this.#videos.values()]) void element.play().catch(() => {});
  }

  clear(): void {
    for (const element of [...this.#audios.values(), ...this.#videos.values()]) element.srcObject = null;
    this.#speakers.replaceChildren();
    this.#audios.clear();
    this.#videos.clear();
    this.#owners.clear();
  }

  #hideUntilRenewed(video: HTMLVideoElement): void {
    if (!video.requestVideoFrameCallback) return;
    const since: number = performance.now();
    const change: string = (video.dataset['stale'] = String(since));
    const look = (_: number, { receiveTime }: VideoFrameCallbackMetadata): void => {
      if (video.dataset['stale'] !== change) return;
      // What had come already is still the old picture.
      if (receiveTime !== undefined && receiveTime < since) video.requestVideoFrameCallback(look);
      else delete video.dataset['stale'];
    };
    video.requestVideoFrameCallback(look);
  }

  #videoFor(mid: string, track: MediaStreamTrack): HTMLVideoElement {
    const ahead: HTMLVideoElement | undefined = this.#ahead.get(track);
    // It has shown nobody else.
    if (ahead) this.#owners.delete(mid);
    const video: HTMLVideoElement = ahead ?? this.#videos.get(mid) ?? this.#newVideo();
    video.dataset['mid'] = mid;
    this.#videos.set(mid, video);
    return video;
  }

  #newVideo(): HTMLVideoElement {
    const video: HTMLVideoElement = document.createElement('video');
    video.muted = video.autoplay = video.playsInline = true;
    video.requestVideoFrameCallback?.(() => this.#firstFrame(video));
    return video;
  }

  #audioFor(mid: string): HTMLAudioElement {
    const known: HTMLAudioElement | undefined = this.#audios.get(mid);
    if (known) return known;
    const audio: HTMLAudioElement = document.createElement('audio');
    audio.autoplay = true;
    if (this.#sinkId) void audio.setSinkId?.(this.#sinkId).catch(() => {});
    this.#speakers.append(audio);
    this.#audios.set(mid, audio);
    return audio;
  }

  #play(element: HTMLMediaElement, track: MediaStreamTrack): void {
    const now: MediaStream | null = element.srcObject as MediaStream | null;
    if (now?.getTracks()[0] === track) return;
    element.srcObject = new MediaStream([track]);
    void element.play().catch((cause: unknown) => {
      if ((cause as Error).name === 'NotAllowedError') this.#blocked();
    });
  }
}
