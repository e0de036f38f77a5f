import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { flows, type CallState } from '../../sdk/call-store/state.ts';
import { icon } from '../../theme/icons.ts';
import { baseSheet, sheet } from '../../theme/sheets.ts';
import { askFor } from '../asking.ts';
import { recall, remember } from '../memory.ts';
import { cleanName, deviceWords, namesOf } from '../words.ts';
import css from './call-lobby.css?inline';
import './call-devices.ts';

/** The device check before the call. The page is connected behind it already: Join is one message. */
export class CallLobbyElement extends LitElement {
  static override styles = [baseSheet, sheet(css)];
  static override properties = {
    call: { attribute: false },
    own: { attribute: false },
    microphone: { attribute: false },
    entering: { type: Boolean },
    invitedAs: { attribute: false },
  };
  declare call: CallState;
  declare own: HTMLVideoElement;
  declare microphone: MediaStreamTrack | null;
  /** The person has clicked; what is still missing is the hub's answer. */
  declare entering: boolean;
  declare invitedAs: string;

  protected override render(): TemplateResult {
    return html`
      <main>
        <section class="preview" aria-label="Your camera">${this.#preview()}</section>
        <section class="enter">
          <div class="heading">
            <h1>${this.call.phase === 'lobby' ? this.call.room.title || 'Ready to join?' : 'Getting ready'}</h1>
            <p class="soft" role="status">${this.#whoIsThere()}</p>
          </div>
          <form @submit=${this.#submit}>
            <div class="field">
              <label for="name">Your name</label>
              <input id="name" name="name" autocomplete="name" maxlength="64" placeholder="How the others see you" .value=${recall('name') ?? this.invitedAs} @input=${this.#typed} />
            </div>
            <button class="button primary join" ?disabled=${this.entering}>${this.entering ? 'Joining…' : this.#joinLabel()}</button>
          </form>
          <details ?open=${matchMedia('(min-width: 60rem)').matches}>
            <summary>Microphone, camera and speaker</summary>
            <call-devices .call=${this.call} .microphone=${this.microphone}></call-devices>
          </details>
        </section>
      </main>
    `;
  }

  #preview(): TemplateResult {
    const { camera, microphone } = this.call.own;
    const seen: boolean = flows(camera);
    return html`
      <div class="picture">
        ${seen ? this.own : html`<p class="dark">${camera.is === 'starting' ? 'Starting your camera…' : camera.is === 'off' ? 'Your camera is off' : 'No picture'}</p>`}
        <div class="toggles">
          ${this.#toggle('microphone', flows(microphone), 'Turn microphone off', 'Turn microphone on')}
          ${this.#toggle('camera', seen, 'Turn camera off', 'Turn camera on')}
        </div>
      </div>
      <div class="heard">
        ${icon(flows(microphone) ? 'mic' : 'mic-off')}
        <call-meter .track=${flows(microphone) ? this.microphone : null}></call-meter>
        <span class="soft">${flows(microphone) ? 'Say something' : 'Microphone off'}</span>
      </div>
      ${this.#trouble('camera')} ${this.#trouble('microphone')}
    `;
  }

  #toggle(source: 'microphone' | 'camera', on: boolean, turnOff: string, turnOn: string): TemplateResult {
    const label: string = on ? turnOff : turnOn;
    const name = source === 'microphone' ? (on ? 'mic' : 'mic-off') : on ? 'camera' : 'camera-off';
    return html`<button class="round ${on ? '' : 'off'}" aria-label=${label} title=${label} aria-pressed=${!on} @click=${() => askFor(this, { ask: 'toggle', source })}>${icon(name)}</button>`;
  }

  #trouble(source: 'microphone' | 'camera'): TemplateResult | typeof nothing {
    const state = this.call.own[source];
    if (state.is !== 'trouble') return nothing;
    const { title, detail } = deviceWords(source, state.trouble);
    return html`<div class="notice problem" role="alert">
      <strong>${title}</strong>${detail}
      <button class="button small" @click=${() => askFor(this, { ask: 'open', source })}>Try again</button>
    </div>`;
  }

  #whoIsThere(): string {
    if (this.call.phase === 'joining') return this.call.note ?? 'Connecting to the room…';
    if (this.call.phase !== 'lobby') return '';
    if (this.call.link.is !== 'open') return 'The network is interrupted; trying again…';
    const names: readonly string[] = this.call.others.map(({ name }) => name);
    if (names.length === 0) return 'Nobody is here yet. You will be the first.';
    return `${namesOf(names)} ${names.length === 1 ? 'is' : 'are'} in the call.`;
  }

  #joinLabel(): string {
    const { microphone, camera } = this.call.own;
    const silent: boolean = microphone.is === 'trouble';
    const dark: boolean = camera.is === 'trouble';
    if (silent && dark) return 'Join to watch and listen';
    if (silent) return 'Join without microphone';
    return dark ? 'Join without camera' : 'Join';
  }

  #typed(event: Event): void {
    remember('name', (event.target as HTMLInputElement).value);
  }

  #submit(event: Event): void {
    event.preventDefault();
    const name: string = cleanName(this.renderRoot.querySelector<HTMLInputElement>('#name')?.value ?? '');
    askFor(this, { ask: 'enter', name: name || 'Guest' });
  }
}

customElements.define('call-lobby', CallLobbyElement);
declare global {
  interface HTMLElementTagNameMap {
    'call-lobby': CallLobbyElement;
  }
}
