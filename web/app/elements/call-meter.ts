import { html, LitElement, type TemplateResult } from 'lit';
import { sheet } from '../../theme/sheets.ts';
import css from './call-meter.css?inline';

const SPOKEN_EVERY_MS = 1000;
/** Often enough to follow a voice. At each frame of the screen, the page would be painted sixty times a second for it. */
const SHOWN_EVERY_MS = 80;

/** How loud a microphone hears. Measured in the page; nothing is sent. */
export class CallMeterElement extends LitElement {
  static override styles = [sheet(css)];
  static override properties = { track: { attribute: false }, waiting: { state: true } };
  declare track: MediaStreamTrack | null;
  declare waiting: boolean;
  #context: AudioContext | undefined;
  #stop: () => void = () => {};
  #measured: MediaStreamTrack | null = null;

  constructor() {
    super();
    this.track = null;
    this.waiting = false;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#end();
  }

  protected override render(): TemplateResult {
    return html`<div class="meter" role="meter" aria-label="Microphone level" aria-valuemin="0" aria-valuemax="100" aria-valuenow="0"><div class="level"></div></div>`;
  }

  protected override updated(): void {
    if (this.track === this.#measured) return;
    this.#end();
    this.#measured = this.track;
    if (this.track) this.#measure(this.track);
  }

  #measure(track: MediaStreamTrack): void {
    const context = new AudioContext();
    const analyser: AnalyserNode = context.createAnalyser();
    analyser.fftSize = 4096; // 85 ms at 48 kHz: nothing between two looks is missed
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    // Browsers may hold sound processing back until the first click or key.
    const wake = (): void => void context.resume();
    addEventListener('pointerdown', wake);
    addEventListener('keydown', wake);
    const timer: number = window.setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      this.#show(loudness(samples));
    }, SHOWN_EVERY_MS);
    this.#context = context;
    this.#stop = () => {
      clearInterval(timer);
      removeEventListener('pointerdown', wake);
      removeEventListener('keydown', wake);
    };
  }

  #shownLevel = 0;
  #spokenAt = 0;

  #show(level: number): void {
    // Rises at once, falls slowly: easier to watch.
    this.#shownLevel = Math.max(level, this.#shownLevel * 0.66);
    this.renderRoot.querySelector<HTMLElement>('.level')?.style.setProperty('transform', `scaleX(${this.#shownLevel.toFixed(3)})`);
    const now: number = performance.now();
    if (now - this.#spokenAt < SPOKEN_EVERY_MS) return;
    this.#spokenAt = now;
    this.renderRoot.querySelector('.meter')?.setAttribute('aria-valuenow', String(Math.round(this.#shownLevel * 100)));
  }

  #end(): void {
    this.#stop();
    this.#stop = () => {};
    void this.#context?.close();
    this.#context = undefined;
    this.#measured = null;
    this.#shownLevel = 0;
    this.#show(0);
  }
}

/** 0 to 1 over the 50 dB in which voices lie. */
function loudness(samples: Float32Array): number {
  const power: number = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const decibels: number = 10 * Math.log10(power + 1e-10);
  return Math.min(1, Math.max(0, (decibels + 55) / 50));
}

customElements.define('call-meter', CallMeterElement);
declare global {
  interface HTMLElementTagNameMap {
    'call-meter': CallMeterElement;
  }
}
