import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { Live } from '../../sdk/call-store/state.ts';
import { icon } from '../../theme/icons.ts';
import { baseSheet, sheet } from '../../theme/sheets.ts';
import { askFor } from '../asking.ts';
import { pack } from '../layout.ts';
import type { MediaPool } from '../media-pool.ts';
import { arrange, tilesOf, wanted, type Arrangement, type Tile } from '../tiles.ts';
import css from './call-stage.css?inline';
import './call-tile.ts';

const GAP_PX = 10;
const VIEW_WITHIN_MS = 200;

/** The pictures of a call: a grid, two people, or one large with a strip beside it. Tells the hub what is shown and how large. */
export class CallStageElement extends LitElement {
  static override styles = [baseSheet, sheet(css)];
  static override properties = {
    call: { attribute: false },
    pool: { attribute: false },
    own: { attribute: false },
    pinned: { attribute: false },
    grid: { type: Boolean },
    link: { attribute: false },
    copied: { type: Boolean },
  };
  declare call: Live;
  declare pool: MediaPool;
  declare own: HTMLVideoElement;
  declare pinned: string | null;
  declare grid: boolean;
  declare link: string;
  declare copied: boolean;
  /** As last observed: reading it from the page would force a layout while the first picture waits to be drawn. */
  #size: { readonly width: number; readonly height: number } | undefined;
  #observer = new ResizeObserver(([entry]) => {
    this.#size = entry?.contentRect;
    this.#fit();
  });
  #viewTimer = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#observer.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#observer.disconnect();
    clearTimeout(this.#viewTimer);
  }

  protected override render(): TemplateResult {
    const arrangement: Arrangement = arrange(this.call, { pinned: this.pinned, grid: this.grid });
    const tiles: readonly Tile[] = tilesOf(arrangement);
    return html`
      <div class="tiles ${arrangement.mode}" role="list" aria-label="People in the call">
        ${repeat(tiles, ({ key }) => key, (tile, index) => this.#tile(tile, index === 0 && arrangement.mode === 'focus'))}
      </div>
      ${arrangement.mode === 'alone' ? this.#invitation() : nothing}
    `;
  }

  #tile(tile: Tile, main: boolean): TemplateResult {
    const video: HTMLVideoElement | null =
      tile.picture.is === 'own' ? this.own : tile.picture.is === 'place' ? (this.pool.video(tile.picture.mid) ?? null) : null;
    return html`<call-tile role="listitem" class=${main ? 'main' : ''} data-key=${tile.key} .tile=${tile} .video=${video} ?pinned=${this.pinned === tile.key}></call-tile>`;
  }

  #invitation(): TemplateResult {
    return html`<section class="invitation">
      <h2>You are the first here</h2>
      <p>Share this link. Whoever opens it joins you, with nothing to install.</p>
      <p class="link mono">${this.link.replace(/^https?:\/\//, '')}</p>
      <button class="button primary" @click=${() => askFor(this, { ask: 'copy-link' })}>
        ${icon(this.copied ? 'check' : 'copy')} ${this.copied ? 'Link copied' : 'Copy the link'}
      </button>
    </section>`;
  }

  protected override updated(): void {
    this.#fit();
  }

  #fit(): void {
    if (!this.#size) return;
    const tiles: number = this.renderRoot.querySelectorAll('call-tile').length;
    const { columns, width, height } = pack(tiles, this.#size, GAP_PX);
    const set = (name: string, value: string): void => this.style.setProperty(name, value);
    set('--columns', String(columns));
    set('--tile-width', `${width}px`);
    set('--tile-height', `${height}px`);
    clearTimeout(this.#viewTimer);
    this.#viewTimer = window.setTimeout(() => this.#tellView(), VIEW_WITHIN_MS);
  }

  #tellView(): void {
    const sizes = new Map<string, DOMRect>();
    for (const tile of this.renderRoot.querySelectorAll('call-tile')) sizes.set(tile.dataset['key'] ?? '', tile.getBoundingClientRect());
    const scale: number = devicePixelRatio;
    const tiles = tilesOf(arrange(this.call, { pinned: this.pinned, grid: this.grid }));
    const wants = wanted(tiles, (key) => {
      const size: DOMRect | undefined = sizes.get(key);
      return size && { width: size.width * scale, height: size.height * scale };
    });
    askFor(this, { ask: 'view', wants });
  }
}

customElements.define('call-stage', CallStageElement);
declare global {
  interface HTMLElementTagNameMap {
    'call-stage': CallStageElement;
  }
}
