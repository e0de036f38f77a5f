import { html, LitElement, type TemplateResult } from 'lit';
import { ask } from '../../sdk/http.ts';
import { sheet } from '../../theme/sheets.ts';
import { Loading } from '../loading.ts';
import { barsOf, barsText, lossText, rateText, worstJitter } from '../quality.ts';
import { viewSheets } from '../sheets.ts';
import type { CallQuality, Connection } from '../types.ts';
import css from './console-quality.css?inline';

/** How the connections of a call in progress do, a few seconds old at most. */
export class ConsoleQualityElement extends LitElement {
  static override styles = [...viewSheets, sheet(css)];
  static override properties = { callId: { attribute: false }, nameOf: { attribute: false } };
  declare callId: string;
  /** Whose a connection is, by its id. */
  declare nameOf: (legId: string) => string;
  #quality = new Loading<CallQuality>(this, (signal) => ask(`/v1/calls/${encodeURIComponent(this.callId)}/quality`, { signal }), 5000);

  protected override render(): TemplateResult {
    return html`<section class="card" aria-labelledby="lines"><h2 id="lines">Lines right now</h2>
      ${this.#quality.render(({ connections }) => this.#lines(connections))}</section>`;
  }

  #lines(connections: readonly Connection[]): TemplateResult {
    if (connections.length === 0) return html`<p class="soft">The first measurements come a few seconds into the call.</p>`;
    return html`<ul class="lines">${connections.map((connection) => this.#line(connection))}</ul>`;
  }

  #line(connection: Connection): TemplateResult {
    const { leg_id, transport, rtt_ms, up, down } = connection;
    const bars = barsOf(connection);
    return html`<li class="line">
      <span class="bars" data-bars=${bars} role="img" aria-label=${barsText(bars)} title=${barsText(bars)}>${[1, 2, 3, 4].map((n) => html`<i class=${n <= bars ? 'on' : ''}></i>`)}</span>
      <strong>${this.nameOf(leg_id)}</strong>
      <p>${barsText(bars)}${rtt_ms === null ? '' : ` · ${rtt_ms} ms`} · jitter ${worstJitter(connection)} ms · ${transport.toUpperCase()}</p>
      <p>sends ${rateText(up.bits_per_s)}, ${lossText(up.loss_permille)} lost<br />gets ${rateText(down.bits_per_s)}, ${lossText(down.loss_permille)} lost</p>
    </li>`;
  }
}

customElements.define('console-quality', ConsoleQualityElement);
