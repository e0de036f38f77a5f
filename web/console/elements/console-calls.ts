import { html, LitElement, type TemplateResult } from 'lit';
import { ask } from '../../sdk/http.ts';
import { Loading } from '../loading.ts';
import { peopleText, sumOf } from '../parts.ts';
import { hrefOf } from '../route.ts';
import { viewSheets } from '../sheets.ts';
import type { Calls, CallSummary } from '../types.ts';
import { bytesText, durationText, minuteText } from '../words.ts';

/** All calls, newest first, a page at a time. */
export class ConsoleCallsElement extends LitElement {
  static override styles = [...viewSheets];
  static override properties = { older: { state: true }, cursor: { state: true }, fetching: { state: true } };
  declare older: readonly CallSummary[];
  declare cursor: string | null | undefined;
  declare fetching: boolean;
  #first = new Loading<Calls>(this, (signal) => ask('/v1/calls?limit=50', { signal }));

  constructor() {
    super();
    this.older = [];
  }

  protected override render(): TemplateResult {
    return html`<div class="view"><h1>Calls</h1>
      ${this.#first.render((page) => this.#page([...page.calls, ...this.older], this.cursor === undefined ? page.next_cursor : this.cursor))}</div>`;
  }

  #page(calls: readonly CallSummary[], cursor: string | null): TemplateResult {
    if (calls.length === 0) {
      return html`<div class="card empty"><strong>There has been no call yet.</strong><span>Every call is listed here from its first join to its last leave, with what it used.</span></div>`;
    }
    return html`<div class="card"><div class="scroll" tabindex="0" role="group" aria-label="Table"><table>
        <thead><tr><th scope="col">Started (UTC)</th><th scope="col">Room</th><th scope="col">People</th><th scope="col" class="number">Participant time</th><th scope="col" class="number">Sent</th></tr></thead>
        <tbody>${calls.map(row)}</tbody>
      </table></div>
      ${cursor === null ? '' : html`<button class="button" ?disabled=${this.fetching} @click=${() => void this.#more(cursor)}>${this.fetching ? 'Fetching…' : 'Older calls'}</button>`}
    </div>`;
  }

  async #more(cursor: string): Promise<void> {
    this.fetching = true;
    try {
      const page: Calls = await ask(`/v1/calls?limit=50&cursor=${encodeURIComponent(cursor)}`);
      this.older = [...this.older, ...page.calls];
      this.cursor = page.next_cursor;
    } catch (cause) {
      this.dispatchEvent(new CustomEvent('trouble', { detail: cause, bubbles: true, composed: true }));
    }
    this.fetching = false;
  }
}

function row({ call_id, room_title, started_at, ended_at, participants }: CallSummary): TemplateResult {
  return html`<tr>
    <td class="nowrap">${minuteText(started_at)}</td>
    <th scope="row"><a href=${hrefOf({ at: 'call', callId: call_id })}>${room_title || 'Untitled room'}</a> ${ended_at === null ? html`<span class="tag live">live</span>` : ''}</th>
    <td>${peopleText(participants)}</td>
    <td class="number">${durationText(sumOf(participants, 'participant_ms'))}</td>
    <td class="number">${bytesText(sumOf(participants, 'egress_bytes'))}</td>
  </tr>`;
}

customElements.define('console-calls', ConsoleCallsElement);
