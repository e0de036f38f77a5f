import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { icon } from '../../theme/icons.ts';
import { baseSheet, sheet } from '../../theme/sheets.ts';
import { askFor } from '../asking.ts';
import { initials, type Tile } from '../tiles.ts';
import css from './call-tile.css?inline';

/**
 * One picture with its name; behind it a coin with initials, seen where there is no picture, or none yet.
 * @attr speaking - the person is heard now
 * @attr mirrored - the own camera, as in a mirror
 * @attr paused - the own line does not take the picture: the coin is seen in its place, and why
 * @attr away - the person has lost their connection: the last picture is dimmed, and why it stands still
 */
export class CallTileElement extends LitElement {
  static override styles = [baseSheet, sheet(css)];
  static override properties = { tile: { attribute: false }, video: { attribute: false }, pinned: { type: Boolean } };
  declare tile: Tile;
  declare video: HTMLVideoElement | null;
  declare pinned: boolean;

  protected override render(): TemplateResult {
    const { name, self, source, micMuted } = this.tile;
    const shown: string = self ? 'You' : name || 'Guest';
    return html`
      <div class="coin" aria-hidden="true"><span>${initials(name)}</span></div>
      ${this.video ?? nothing}
      ${this.#note()}
      <div class="label">
        ${micMuted ? html`<span class="muted" title="Muted">${icon('mic-off')}<span class="sr-only">Muted: </span></span>` : nothing}
        <span class="name">${source === 'screen' ? `${shown}: screen` : shown}</span>
      </div>
      ${self ? nothing : this.#pinButton(shown)}
    `;
  }

  /** Why there is no picture, or an old one. */
  #note(): TemplateResult | typeof nothing {
    if (this.tile.away) return html`<p class="note">Reconnecting…</p>`;
    return this.tile.paused ? html`<p class="note">Paused: your connection is slow</p>` : nothing;
  }

  #pinButton(name: string): TemplateResult {
    const label: string = this.pinned ? `Unpin ${name}` : `Pin ${name}`;
    return html`<button class="pin" aria-label=${label} title=${label} @click=${() => askFor(this, { ask: 'pin', key: this.pinned ? null : this.tile.key })}>
      ${icon(this.pinned ? 'close' : 'pin')}
    </button>`;
  }

  protected override updated(): void {
    this.toggleAttribute('speaking', this.tile.speaking);
    this.toggleAttribute('paused', this.tile.paused);
    this.toggleAttribute('away', this.tile.away);
    this.toggleAttribute('mirrored', this.tile.self && this.tile.source === 'camera');
    this.dataset['source'] = this.tile.source;
    // A video that was moved to another place in the page is paused by the browser.
    if (this.video?.paused) void this.video.play().catch(() => {});
  }
}

customElements.define('call-tile', CallTileElement);
declare global {
  interface HTMLElementTagNameMap {
    'call-tile': CallTileElement;
  }
}
