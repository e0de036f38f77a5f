import { html, LitElement, nothing, type TemplateResult } from 'lit';
import type { CallState } from '../../sdk/call-store/state.ts';
import { baseSheet, sheet } from '../../theme/sheets.ts';
import { askFor } from '../asking.ts';
import { endWords, type Words } from '../words.ts';
import css from './call-end.css?inline';

/** After the call, or instead of it: what happened, and the way back. */
export class CallEndElement extends LitElement {
  static override styles = [baseSheet, sheet(css)];
  static override properties = { call: { attribute: false }, embedded: { type: Boolean } };
  declare call: Extract<CallState, { phase: 'ended' | 'failed' }>;
  declare embedded: boolean;

  protected override render(): TemplateResult {
    const failed: boolean = this.call.phase === 'failed';
    const words: Words = this.call.phase === 'failed' ? this.call.problem : endWords(this.call.reason);
    return html`<main class=${failed ? 'failed' : ''}>
      <div class="mark" aria-hidden="true"></div>
      <h1>${words.title}</h1>
      <p class="soft">${words.detail}</p>
      <div class="ways">
        <button class="button primary" @click=${() => askFor(this, { ask: 'rejoin' })}>${failed ? 'Try again' : 'Join again'}</button>
        ${this.embedded ? nothing : html`<a class="button" href="/">Home</a>`}
      </div>
    </main>`;
  }

  protected override firstUpdated(): void {
    const heading: HTMLElement | null = this.renderRoot.querySelector('h1');
    heading?.setAttribute('tabindex', '-1');
    heading?.focus();
  }
}

customElements.define('call-end', CallEndElement);
declare global {
  interface HTMLElementTagNameMap {
    'call-end': CallEndElement;
  }
}
