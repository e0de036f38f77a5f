import { html, LitElement, type TemplateResult } from 'lit';
import { ask } from '../../sdk/http.ts';
import { Loading } from '../loading.ts';
import { moneyCell, placesOf, statusTag, sumOfStatement } from '../parts.ts';
import { hrefOf } from '../route.ts';
import { viewSheets } from '../sheets.ts';
import type { Statement, StatementSummary } from '../types.ts';
import { dayText, moneySpoken, monthText } from '../words.ts';

/** The month so far, what is owed, and every finalised statement. */
export class ConsoleStatementsElement extends LitElement {
  static override styles = [...viewSheets];
  #draft = new Loading<Statement>(this, (signal) => ask('/v1/statements/draft', { signal }), 10_000);
  #final = new Loading<{ readonly statements: readonly StatementSummary[] }>(this, (signal) => ask('/v1/statements', { signal }));

  protected override render(): TemplateResult {
    return html`<div class="view"><h1>Statements</h1>
      ${this.#draft.render(soFar, 'Adding up this month…')}
      <section class="card" aria-labelledby="final"><h2 id="final">Finalised</h2>${this.#final.render(({ statements }) => finalised(statements))}</section>
    </div>`;
  }
}

function soFar(draft: Statement): TemplateResult {
  const { period, tab } = draft;
  return html`<div class="cards">
    <section class="card figure"><h2>${monthText(period.start)}, so far</h2><strong>${moneySpoken(sumOfStatement(draft))}</strong>
      <p>This is a draft until ${dayText(period.end)}; nothing is due for it yet.</p>
      <a class="more" href=${hrefOf({ at: 'statement', statementId: 'draft', lineId: null, hour: null })}>Open the draft</a></section>
    <section class="card figure"><h2>Your tab</h2><strong>${moneySpoken(tab.before)}</strong>
      <p>${tab.before.micros === 0 ? 'You owe nothing from earlier months. ' : `You owe ${moneySpoken(tab.before)} from earlier months. `}${tab.collect.why}</p>
      <a class="more" href=${hrefOf({ at: 'paying' })}>See how you pay</a></section>
  </div>`;
}

function finalised(statements: readonly StatementSummary[]): TemplateResult {
  if (statements.length === 0) {
    return html`<div class="empty"><strong>None yet.</strong><span>A month is finalised when it has ended (UTC). It then gets a number and never changes; what comes late stands on the next one.</span></div>`;
  }
  const places: number = placesOf(statements.map(({ total }) => total));
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>
    <thead><tr><th scope="col">Month</th><th scope="col">Finalised</th><th scope="col">Stands</th><th scope="col" class="number">Total</th></tr></thead>
    <tbody>${statements.map(({ statement_id, number, status, period, total, finalized_at }) => html`<tr>
      <th scope="row"><a href=${hrefOf({ at: 'statement', statementId: statement_id, lineId: null, hour: null })}>${monthText(period.start)}, statement ${number}</a></th>
      <td class="nowrap">${finalized_at === null ? '' : dayText(finalized_at)}</td><td>${statusTag(status)}</td><td class="number">${moneyCell(total, places)}</td></tr>`)}</tbody>
  </table></div>`;
}

customElements.define('console-statements', ConsoleStatementsElement);
