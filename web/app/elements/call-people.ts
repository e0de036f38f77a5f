import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { flows, type Live } from '../../sdk/call-store/state.ts';
import type { Participant } from '../../sdk/protocol.ts';
import { icon } from '../../theme/icons.ts';
import { baseSheet, sheet } from '../../theme/sheets.ts';
import { askFor } from '../asking.ts';
import { cleanName } from '../words.ts';
import { initials } from '../tiles.ts';
import css from './call-people.css?inline';

/** Everyone in the call, with what they send; the own name can be changed here. */
export class CallPeopleElement extends LitElement {
  static override styles = [baseSheet, sheet(css)];
  static override properties = { call: { attribute: false }, copied: { type: Boolean } };
  declare call: Live;
  declare copied: boolean;

  protected override render(): TemplateResult {
    const { you, others, own, room } = this.call;
    return html`
      <header>
        <h2>People <span class="soft">${others.length + 1} of ${room.participants_max}</span></h2>
        <button class="close" aria-label="Hide people" @click=${() => askFor(this, { ask: 'show', panel: null })}>${icon('close')}</button>
      </header>
      <ul>
        ${this.#row(you.name, true, !flows(own.microphone), !flows(own.camera))}
        ${others.map((one) => this.#row(one.name || 'Guest', false, isOff(one, 'microphone'), isOff(one, 'camera')))}
      </ul>
      <form @submit=${this.#rename}>
        <div class="field">
          <label for="name">Your name</label>
          <input id="name" maxlength="64" autocomplete="name" .value=${you.name} />
        </div>
        <button class="button small">Change name</button>
      </form>
      <button class="button" @click=${() => askFor(this, { ask: 'copy-link' })}>${icon(this.copied ? 'check' : 'copy')} ${this.copied ? 'Link copied' : 'Copy the link'}</button>
    `;
  }

  #row(name: string, self: boolean, silent: boolean, dark: boolean): TemplateResult {
    return html`<li>
      <span class="coin" aria-hidden="true">${initials(name)}</span>
      <span class="name">${name}${self ? html` <span class="soft">(you)</span>` : nothing}</span>
      ${silent ? html`<span class="off" title="Muted">${icon('mic-off')}<span class="sr-only">muted</span></span>` : nothing}
      ${dark ? html`<span class="off" title="Camera off">${icon('camera-off')}<span class="sr-only">camera off</span></span>` : nothing}
    </li>`;
  }

  #rename(event: Event): void {
    event.preventDefault();
    const name: string = cleanName(this.renderRoot.querySelector('input')?.value ?? '');
    if (name && name !== this.call.you.name) askFor(this, { ask: 'rename', name });
  }
}

function isOff({ tracks }: Participant, source: 'microphone' | 'camera'): boolean {
  return !tracks.some((track) => track.source === source && !track.muted);
}

customElements.define('call-people', CallPeopleElement);
declare global {
  interface HTMLElementTagNameMap {
    'call-people': CallPeopleElement;
  }
}
