import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { flows, type Live } from '../../sdk/call-store/state.ts';
import type { Source } from '../../sdk/protocol.ts';
import { icon, type IconName } from '../../theme/icons.ts';
import { baseSheet, sheet } from '../../theme/sheets.ts';
import { askFor, type Wish } from '../asking.ts';
import css from './call-bar.css?inline';

interface Control {
  readonly icon: IconName;
  readonly label: string;
  readonly key: string;
  readonly pressed?: boolean;
  readonly off?: boolean;
  readonly count?: number;
  readonly wish: Wish;
}

const canShareScreen: boolean = typeof navigator.mediaDevices?.getDisplayMedia === 'function';

/** The controls of a call. What a button shows is what the track says. */
export class CallBarElement extends LitElement {
  static override styles = [baseSheet, sheet(css)];
  static override properties = { call: { attribute: false }, panel: { attribute: false } };
  declare call: Live;
  declare panel: string | null;

  protected override render(): TemplateResult {
    return html`<div class="bar" role="toolbar" aria-label="Call controls">
      ${this.#may('microphone', this.#microphone())} ${this.#may('camera', this.#camera())}
      ${canShareScreen ? this.#may('screen', this.#screen()) : nothing}
      ${this.#button(this.#people())}
      ${this.#button({ icon: 'settings', label: 'Devices and settings', key: '', pressed: this.panel === 'settings', wish: { ask: 'show', panel: 'settings' } })}
      <span class="wide">${this.#button({ icon: 'help', label: 'Keyboard shortcuts', key: '?', pressed: this.panel === 'help', wish: { ask: 'show', panel: 'help' } })}</span>
      <button class="leave" aria-label="Leave the call" title="Leave the call" @click=${() => askFor(this, { ask: 'leave' })}>${icon('leave')}<span class="wide">Leave</span></button>
    </div>`;
  }

  #may(source: Source, control: Control): TemplateResult | typeof nothing {
    return this.call.you.may_publish.includes(source) ? this.#button(control) : nothing;
  }

  #microphone(): Control {
    const on: boolean = flows(this.call.own.microphone);
    return { icon: on ? 'mic' : 'mic-off', label: on ? 'Mute' : 'Unmute', key: 'M', pressed: !on, off: !on, wish: { ask: 'toggle', source: 'microphone' } };
  }

  #camera(): Control {
    const on: boolean = flows(this.call.own.camera);
    return { icon: on ? 'camera' : 'camera-off', label: on ? 'Turn camera off' : 'Turn camera on', key: 'V', pressed: !on, off: !on, wish: { ask: 'toggle', source: 'camera' } };
  }

  #screen(): Control {
    const on: boolean = this.call.own.screen.is === 'on';
    return { icon: on ? 'screen-stop' : 'screen', label: on ? 'Stop sharing' : 'Share your screen', key: 'D', pressed: on, wish: { ask: 'toggle', source: 'screen' } };
  }

  #people(): Control {
    const open: boolean = this.panel === 'people';
    return { icon: 'people', label: open ? 'Hide people' : 'Show people', key: 'P', pressed: open, count: this.call.others.length + 1, wish: { ask: 'show', panel: 'people' } };
  }

  #button({ icon: name, label, key, pressed = false, off = false, count, wish }: Control): TemplateResult {
    const title: string = key ? `${label} (${key})` : label;
    return html`<button class="round ${off ? 'off' : ''}" aria-label=${count === undefined ? label : `${label}, ${count} in the call`} aria-pressed=${pressed} aria-keyshortcuts=${key || nothing} title=${title} @click=${() => askFor(this, wish)}>
      ${icon(name)}${count === undefined ? nothing : html`<span class="count" aria-hidden="true">${count}</span>`}
    </button>`;
  }
}

customElements.define('call-bar', CallBarElement);
declare global {
  interface HTMLElementTagNameMap {
    'call-bar': CallBarElement;
  }
}
