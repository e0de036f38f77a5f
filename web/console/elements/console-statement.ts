import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { ask } from '../../sdk/http.ts';
import { icon } from '../../theme/icons.ts';
import { sheet } from '../../theme/sheets.ts';
import { Loading } from '../loading.ts';
import { moneyCell, placesOf, quantityCell, sumOfStatement } from '../parts.ts';
import { hrefOf } from '../route.ts';
import { viewSheets } from '../sheets.ts';
import type { Line, LineHour, LineHourCall, Money, Statement } from '../types.ts';
import { dayText, hourText, minuteText, momentText, moneySpoken, moneyText, monthText, negative, quantityText } from '../words.ts';
import css from './console-statement.css?inline';

/** A statement that can be taken apart: each line opens to its hours, each hour to the calls behind it. */
export class ConsoleStatementElement extends LitElement {
  static override styles = [...viewSheets, sheet(css)];
  static override properties = { statementId: { attribute: false }, lineId: { attribute: false }, hour: { attribute: false } };
  declare statementId: string;
  declare lineId: string | null;
  declare hour: string | null;

  #statement = new Loading<Statement>(this, (signal) => ask(this.#path(), { signal }));
  #hours = new Loading<readonly LineHour[]>(this, (signal) => this.#fetchHours(signal));
  #calls = new Loading<readonly LineHourCall[]>(this, (signal) => this.#fetchCalls(signal));

  protected override updated(changed: PropertyValues): void {
    const moved = (property: string): boolean => changed.has(property) && changed.get(property) !== undefined;
    if (moved('statementId')) void this.#statement.again({ fresh: true });
    if (moved('statementId') || moved('lineId')) void this.#hours.again({ fresh: true });
    if (moved('statementId') || moved('lineId') || moved('hour')) void this.#calls.again({ fresh: true });
  }

  #path(...more: readonly string[]): string {
    return ['/v1/statements', ...[this.statementId, ...more].map(encodeURIComponent)].join('/');
  }

  async #fetchHours(signal: AbortSignal): Promise<readonly LineHour[]> {
    if (this.lineId === null) return [];
    const { hours } = await ask<{ readonly hours: readonly LineHour[] }>(this.#path('lines', this.lineId, 'hours'), { signal });
    return hours;
  }

  async #fetchCalls(signal: AbortSignal): Promise<readonly LineHourCall[]> {
    if (this.lineId === null || this.hour === null) return [];
    const { calls } = await ask<{ readonly calls: readonly LineHourCall[] }>(this.#path('lines', this.lineId, 'hours', this.hour, 'calls'), { signal });
    return calls;
  }

  protected override render(): TemplateResult {
    return html`<div class="view">
      <a class="back" href=${hrefOf({ at: 'statements' })}>${icon('back')}All statements</a>
      ${this.#statement.render((statement) => this.#whole(statement), 'Adding up…')}
    </div>`;
  }

  #whole(statement: Statement): TemplateResult {
    const { period, status, number, account, as_of } = statement;
    const draft: boolean = status === 'draft';
    return html`
      <div class="head"><div>
        <p><span class="tag ${draft ? 'draft' : ''}">${draft ? 'Draft: so far this month' : `Statement ${number}`}</span></p>
        <h1>${monthText(period.start)}</h1>
        <p class="soft">${account.name} · ${dayText(period.start)} up to, not including, ${dayText(period.end)} (UTC) · as of ${momentText(as_of)}</p></div>
        <p class="big">${moneySpoken(sumOfStatement(statement))}</p></div>
      ${this.#tab(statement)}
      <section class="card" aria-labelledby="lines"><h2 id="lines">What it is made of</h2>
        <p class="lead">Open a line to see its hours, and an hour to see the calls behind it.</p>
        ${this.#lines(statement)}</section>`;
  }

  #tab({ tab, status, standing }: Statement): TemplateResult {
    const with_: string = status === 'draft' ? 'With this draft your tab would be' : 'With this statement your tab was';
    return html`<div class="notice ${status === 'collecting' || tab.collect.decision === 'collect' ? '' : 'good'}"><strong>${with_} ${moneySpoken(tab.after)}.</strong>${standing?.says ?? tab.collect.why}</div>`;
  }

  #lines(statement: Statement): TemplateResult {
    const { lines, subtotal, carried_in, total, carried_out } = statement;
    const places: number = placesOf([...lines.map(({ amount }) => amount), subtotal, carried_in, carried_out]);
    const sum = (label: string, amount: Money, note = ''): TemplateResult =>
      html`<tr><th scope="row">${label}${note ? html` <span class="soft note">${note}</span>` : nothing}</th><td class="wide"></td><td class="wide"></td><td class="number">${moneyCell(amount, places)}</td></tr>`;
    return html`<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>
      <thead><tr><th scope="col">Line</th><th scope="col" class="number wide">Quantity</th><th scope="col" class="number wide">Price</th><th scope="col" class="number">Amount</th></tr></thead>
      <tbody>${lines.length ? lines.map((line) => this.#line(line, places)) : html`<tr><td colspan="4" class="soft">Nothing has been charged yet.</td></tr>`}</tbody>
      <tfoot>
        ${sum('Lines together', subtotal)}
        ${carried_in.micros === 0 ? nothing : sum('Brought from the month before', carried_in, 'below a cent')}
        ${carried_out.micros === 0 ? nothing : sum('Rounded to a whole cent', negative(carried_out), 'the rest is carried to the next month, never lost')}
        <tr class="total"><th scope="row">Total</th><td class="wide"></td><td class="wide"></td><td class="number">${moneyCell(total, places)}</td></tr>
      </tfoot></table></div>`;
  }

  #line(line: Line, places: number): TemplateResult {
    const open: boolean = line.line_id === this.lineId;
    return html`<tr class=${open ? 'open' : ''}>
      <th scope="row">${this.#opener(open, line.description, { lineId: open ? null : line.line_id, hour: null })}
        ${line.for_month === null ? nothing : html`<span class="tag">for ${monthText(`${line.for_month.slice(0, 7)}-01T00:00:00Z`)}</span>`}
        ${line.included ? html`<span class="soft note">${quantityText(line.included, line.meter)} included</span>` : nothing}
        <span class="soft note narrow">${quantityOf(line)}${line.rate === null ? nothing : html` at ${moneyText(line.rate)} a ${line.unit}`}</span></th>
      <td class="number wide">${quantityOf(line)}</td>
      <td class="number wide">${line.rate === null ? nothing : html`${moneyText(line.rate)}<span class="soft"> a ${line.unit}</span>`}</td>
      <td class="number">${moneyCell(line.amount, places)}</td>
    </tr>
    ${open ? html`<tr class="inner"><td colspan="4">${this.#hours.render((hours) => this.#hourTable(hours, line), 'Fetching the hours…')}</td></tr>` : nothing}`;
  }

  #hourTable(hours: readonly LineHour[], line: Line): TemplateResult {
    if (hours.length === 0) return html`<p class="soft">No hour has added to this line yet.</p>`;
    const places: number = placesOf(hours.map(({ amount }) => amount));
    const metered: boolean = hours.some(({ quantity }) => quantity !== null);
    return html`<table><caption>${line.description}, hour by hour</caption>
      <thead><tr><th scope="col">Hour (UTC)</th>${metered ? html`<th scope="col" class="number wide">Quantity</th>` : nothing}<th scope="col" class="number">Amount</th></tr></thead>
      <tbody>${hours.map((hour) => this.#hourRow(hour, line, places, metered))}</tbody></table>`;
  }

  #hourRow({ hour, quantity, amount }: LineHour, line: Line, places: number, metered: boolean): TemplateResult {
    const open: boolean = hour === this.hour;
    const label: string = hourText(hour);
    return html`<tr class=${open ? 'open' : ''}>
      <th scope="row" class="nowrap">${metered ? this.#opener(open, label, { lineId: line.line_id, hour: open ? null : hour }) : label}
        ${quantity === null ? nothing : html`<span class="soft note narrow">${quantityText(quantity, line.meter)}</span>`}</th>
      ${metered ? html`<td class="number wide">${quantityCell(quantity, line.meter)}</td>` : nothing}
      <td class="number">${moneyCell(amount, places)}</td></tr>
      ${open && metered ? html`<tr class="inner"><td colspan="3">${this.#calls.render((calls) => callTable(calls, line), 'Fetching the calls…')}</td></tr>` : nothing}`;
  }

  #opener(open: boolean, label: string, to: { readonly lineId: string | null; readonly hour: string | null }): TemplateResult {
    return html`<a class="opener" href=${hrefOf({ at: 'statement', statementId: this.statementId, ...to })} aria-expanded=${open} role="button" data-keep-scroll>${label}</a>`;
  }
}

function callTable(calls: readonly LineHourCall[], line: Line): TemplateResult {
  if (calls.length === 0) return html`<p class="soft">No call is recorded for this hour.</p>`;
  return html`<table><caption>Calls in this hour</caption>
    <thead><tr><th scope="col">Call</th><th scope="col" class="wide">Who</th><th scope="col" class="number">Quantity</th></tr></thead>
    <tbody>${calls.map(({ call_id, room_title, started_at, participants, quantity }) => html`<tr>
      <th scope="row"><a href=${hrefOf({ at: 'call', callId: call_id })}>${room_title || 'Untitled room'}</a><br /><span class="soft">${minuteText(started_at)}</span>
        <span class="note narrow">${parts(participants, line)}</span></th>
      <td class="wide">${parts(participants, line)}</td>
      <td class="number">${quantityCell(quantity, line.meter)}</td></tr>`)}</tbody></table>`;
}

/** A recurring price runs by the hour: what is charged so far is the hours so far. */
function quantityOf({ kind, quantity, unit_size, meter }: Line): TemplateResult | typeof nothing {
  if (kind === 'recurring' && quantity !== null && unit_size > 1) return html`${quantity} of ${unit_size} hours`;
  return quantityCell(quantity, meter);
}

function parts(participants: LineHourCall['participants'], { meter }: Line): readonly TemplateResult[] {
  return participants.map(({ name, quantity }) => html`<div>${name || 'Guest'} <span class="soft">${quantityText(quantity, meter)}</span></div>`);
}

customElements.define('console-statement', ConsoleStatementElement);
