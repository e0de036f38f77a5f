import { html, LitElement, nothing, type TemplateResult } from 'lit';
import type { CallState } from '../../sdk/call-store/state.ts';
import type { DeviceInfo, SourceState } from '../../sdk/local-media.ts';
import { icon } from '../../theme/icons.ts';
import { baseSheet, sheet } from '../../theme/sheets.ts';
import { askFor } from '../asking.ts';
import { recall, remember } from '../memory.ts';
import css from './call-devices.css?inline';
import './call-meter.ts';

const canChooseSpeaker: boolean = 'setSinkId' in HTMLMediaElement.prototype;

/** Pickers for microphone, camera and loudspeaker, before and during a call. */
export class CallDevicesElement extends LitElement {
  static override styles = [baseSheet, sheet(css)];
  static override properties = { call: { attribute: false }, microphone: { attribute: false }, meter: { type: Boolean }, playing: { state: true } };
  declare call: CallState;
  declare microphone: MediaStreamTrack | null;
  /** Whether to show how loud the microphone hears. */
  declare meter: boolean;
  declare playing: boolean;

  protected override render(): TemplateResult {
    const { own } = this.call;
    return html`
      <div class="field">
        ${this.#picker('microphone', 'Microphone', 'audioinput', deviceOf(own.microphone))}
        ${this.meter ? html`<call-meter .track=${own.microphone.is === 'on' ? this.microphone : null}></call-meter>` : nothing}
      </div>
      <div class="field">${this.#picker('camera', 'Camera', 'videoinput', deviceOf(own.camera))}</div>
      ${canChooseSpeaker ? html`<div class="field">${this.#picker('speaker', 'Speaker', 'audiooutput', recall('speaker') ?? '')}</div>` : nothing}
      <button class="button small" @click=${() => void this.#testSound()} ?disabled=${this.playing}>
        ${icon('sound')} ${this.playing ? 'Playing…' : 'Play a test sound'}
      </button>
    `;
  }

  #picker(what: 'microphone' | 'camera' | 'speaker', label: string, kind: DeviceInfo['kind'], current: string): TemplateResult {
    const devices: readonly DeviceInfo[] = this.call.devices.filter((device) => device.kind === kind);
    const unnamed: boolean = devices.every((device) => !device.label);
    return html`
      <label for=${what}>${label}</label>
      <select id=${what} ?disabled=${devices.length === 0} @change=${(event: Event) => this.#choose(what, (event.target as HTMLSelectElement).value)}>
        ${devices.length === 0 ? html`<option>${kind === 'audiooutput' ? 'The usual speaker' : 'None found'}</option>` : nothing}
        ${devices.map(({ deviceId, label: name }, index) => html`<option value=${deviceId} ?selected=${deviceId === current}>${unnamed ? `${label} ${index + 1}` : name || deviceId}</option>`)}
      </select>
    `;
  }

  #choose(what: 'microphone' | 'camera' | 'speaker', deviceId: string): void {
    remember(what, deviceId);
    askFor(this, what === 'speaker' ? { ask: 'speaker', deviceId } : { ask: 'open', source: what, deviceId });
    this.requestUpdate();
  }

  /** Two soft notes, a fifth apart, from the chosen speaker. */
  async #testSound(): Promise<void> {
    this.playing = true;
    const context = new AudioContext();
    const sink: MediaStreamAudioDestinationNode = context.createMediaStreamDestination();
    [523.25, 783.99].forEach((hertz, index) => note(context, sink, hertz, context.currentTime + 0.1 + index * 0.35));
    const audio: HTMLAudioElement = new Audio();
    audio.srcObject = sink.stream;
    const speaker: string | undefined = recall('speaker');
    if (speaker) await audio.setSinkId?.(speaker).catch(() => {});
    await audio.play().catch(() => {});
    setTimeout(() => {
      this.playing = false;
      audio.srcObject = null;
      void context.close();
    }, 1300);
  }
}

function note(context: AudioContext, sink: AudioNode, hertz: number, at: number): void {
  const tone: OscillatorNode = context.createOscillator();
  const volume: GainNode = context.createGain();
  tone.frequency.value = hertz;
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(0.25, at + 0.03);
  volume.gain.exponentialRampToValueAtTime(0.001, at + 0.7);
  tone.connect(volume).connect(sink);
  tone.start(at);
  tone.stop(at + 0.75);
}

function deviceOf(state: SourceState): string {
  return state.is === 'on' ? state.deviceId : '';
}

customElements.define('call-devices', CallDevicesElement);
declare global {
  interface HTMLElementTagNameMap {
    'call-devices': CallDevicesElement;
  }
}
