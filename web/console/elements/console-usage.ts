import { html, LitElement, type PropertyValues, type TemplateResult } from 'lit';
import { ask } from '../../sdk/http.ts';
import { Loading } from '../loading.ts';
import { moneyCell, placesOf, quantityCell } from '../parts.ts';
import { hrefOf } from '../route.ts';
import { viewSheets } from '../sheets.ts';
import type { Usage, UsageHour } from '../types.ts';
import { bytesText, durationText, hourText, momentText, moneySpoken, monthText, quantityText } from '../words.ts';
import './console-chart.ts';

/** A month's usage by the hour, as a chart and as the table it is drawn from. */
export class ConsoleUsageElement extends LitElement {
  static override styles = [...viewSheets];
  static override properties = { month: { attribute: false } };
  declare month: string | null;
  #usage = new Loading<Usage>(this, (signal) => ask(`/v1/usage${this.month === null ? '' : `?month=${encodeURIComponent(this.month)}`}`, { signal }), 10_000);

  protected override updated(changed: PropertyValues): void {
    if (changed.has('month') && changed.get('month') !== undefined) void this.#usage.again({ fresh: true });
  }

  protected override render(): TemplateResult {
    return html`<div class="view">${this.#usage.render((usage) => this.#whole(usage))}</div>`;
  }

  #whole({ month, hours, totals, as_of }: Usage): TemplateResult {
    return html`
      <div class="head"><div><h1>Usage in ${monthText(`${month}-01T00:00:00Z`)}</h1><p class="soft">As of ${momentText(as_of)}. Late news may still raise an hour, never lower it.</p></div>
        <nav class="actions" aria-label="Month"><a class="button small" href=${hrefOf({ at: 'usage', month: shifted(month, -1) })}>Earlier</a><a class="button small" href=${hrefOf({ at: 'usage', month: shifted(month, 1) })}>Later</a></nav></div>
      <div class="cards">
        <section class="card figure"><h2>Participant time</h2><strong>${durationText(totals.participant_ms)}</strong></section>
        <section class="card figure"><h2>Sent to participants</h2><strong>${bytesText(totals.egress_bytes)}</strong></section>
        <section class="card figure"><h2>Messages</h2><strong>${quantityText(totals.message_count, 'message_count')}</strong></section>
        <section class="card figure"><h2>Comes to</h2><strong>${moneySpoken(totals.amount)}</strong></section>
      </div>
      ${hours.length === 0 ? html`<div class="card empty"><strong>No call was made in this month.</strong><span>Usage is counted from the moment somebody presses Join, by the hour. The lobby is free.</span></div>` : this.#hours(hours, month, totals.amount)}`;
  }

  #hours(hours: readonly UsageHour[], month: string, total: Usage['totals']['amount']): TemplateResult {
    const places: number = placesOf([...hours.map(({ amount }) => amount), total]);
    return html`<section class="card" aria-labelledby="chart"><h2 id="chart">Participant minutes by hour</h2>
        <console-chart .hours=${hours} .month=${month}></console-chart></section>
      <section class="card" aria-labelledby="table"><h2 id="table">The same as a table</h2><div class="scroll" tabindex="0" role="group" aria-label="Table"><table>
        <thead><tr><th scope="col">Hour (UTC)</th><th scope="col" class="number">Participant time</th><th scope="col" class="number">Sent</th><th scope="col" class="number">Messages</th><th scope="col" class="number">Comes to</th></tr></thead>
        <tbody>${[...hours].reverse().map(({ hour, participant_ms, egress_bytes, message_count, amount }) => html`<tr><th scope="row" class="nowrap">${hourText(hour)}</th><td class="number">${quantityCell(participant_ms, 'participant_ms')}</td><td class="number">${quantityCell(egress_bytes, 'egress_bytes')}</td><td class="number">${quantityCell(message_count, 'message_count')}</td><td class="number">${moneyCell(amount, places)}</td></tr>`)}</tbody>
        <tfoot><tr><th scope="row" colspan="4">Together</th><td class="number">${moneyCell(total, places)}</td></tr></tfoot>
      </table></div></section>`;
  }
}

function shifted(month: string, by: number): string {
  const [year = 1970, ordinal = 1] = month.split('-').map(Number);
  return new Date(Date.UTC(year, ordinal - 1 + by, 1)).toISOString().slice(0, 7);
}

customElements.define('console-usage', ConsoleUsageElement);
