import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { ask } from '../../sdk/http.ts';
import { Loading } from '../loading.ts';
import { peopleText, sumOf, sumOfStatement } from '../parts.ts';
import { hrefOf } from '../route.ts';
import { viewSheets } from '../sheets.ts';
import type { Calls, CallSummary, Statement, Usage } from '../types.ts';
import { bytesText, durationText, minuteText, moneySpoken, monthText } from '../words.ts';

const POLL_MS = 2000;

/** Who is in a call now, and what this month has come to so far. */
export class ConsoleOverviewElement extends LitElement {
  static override styles = [...viewSheets];
  static override properties = { creating: { state: true } };
  declare creating: boolean;
  #live = new Loading<Calls>(this, (signal) => ask('/v1/calls?live=true', { signal }), POLL_MS);
  #draft = new Loading<Statement>(this, (signal) => ask('/v1/statements/draft', { signal }), 5 * POLL_MS);
  #usage = new Loading<Usage>(this, (signal) => ask('/v1/usage', { signal }), 5 * POLL_MS);

  protected override render(): TemplateResult {
    return html`<div class="view">
      <div class="head"><h1>Overview</h1>
        <button class="button primary" ?disabled=${this.creating} @click=${() => void this.#newRoom()}>${this.creating ? 'Making a room…' : 'New call'}</button></div>
      <section class="card" aria-labelledby="live"><h2 id="live">Live now</h2>${this.#live.render((calls) => this.#calls(calls.calls), 'Looking who is in a call…')}</section>
      <div class="cards">
        <section class="card figure">${this.#draft.render(owed, 'Adding up…')}</section>
        <section class="card figure">${this.#usage.render(used, 'Counting…')}</section>
      </div>
    </div>`;
  }

  #calls(calls: readonly CallSummary[]): TemplateResult {
    if (calls.length === 0) {
      return html`<div class="empty"><strong>Nobody is in a call.</strong>
        <span>A call appears here as soon as someone joins a room. Press “New call” to make one and be the first.</span></div>`;
    }
    return html`<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>
      <thead><tr><th scope="col">Room</th><th scope="col">People</th><th scope="col">Since</th><th scope="col" class="number">In the call</th><th scope="col" class="number">Sent</th><th scope="col"><span class="sr-only">Join</span></th></tr></thead>
      <tbody>${calls.map((call) => this.#call(call))}</tbody>
    </table></div>`;
  }

  #call({ call_id, room_id, room_title, started_at, participants }: CallSummary): TemplateResult {
    const here = participants.filter(({ joined_at, left_at }) => joined_at !== null && left_at === null);
    return html`<tr>
      <th scope="row"><a href=${hrefOf({ at: 'call', callId: call_id })}>${room_title || 'Untitled room'}</a> <span class="tag live">${here.length} in</span></th>
      <td>${peopleText(here)}</td>
      <td class="nowrap">${minuteText(started_at)}</td>
      <td class="number">${durationText(sumOf(participants, 'participant_ms'))}</td>
      <td class="number">${bytesText(sumOf(participants, 'egress_bytes'))}</td>
      <td class="number"><a class="button small" target="_blank" href=${`/r/${room_id}`} aria-label=${`Join ${room_title}`}>Join</a></td>
    </tr>`;
  }

  async #newRoom(): Promise<void> {
    this.creating = true;
    // Opened before the answer comes, or the browser takes it for a pop-up nobody asked for.
    const tab: Window | null = window.open('about:blank', '_blank');
    try {
      const room: { readonly link: string } = await ask('/v1/rooms', { method: 'POST', body: { title: 'Call' } });
      const link = new URL(room.link, location.origin);
      if (tab) tab.location.href = link.href;
      else location.href = link.href;
    } catch (cause) {
      tab?.close();
      this.dispatchEvent(new CustomEvent('trouble', { detail: cause, bubbles: true, composed: true }));
    }
    this.creating = false;
  }
}

function owed(draft: Statement): TemplateResult {
  const { tab, period } = draft;
  return html`<h2>${monthText(period.start)}, so far</h2><strong>${moneySpoken(sumOfStatement(draft))}</strong>
    <p>${tabText(tab.before)}${tab.collect.why}</p>
    <a class="more" href=${hrefOf({ at: 'statement', statementId: 'draft', lineId: null, hour: null })}>See what it is made of</a>`;
}

function tabText(before: Statement['tab']['before']): string {
  return before.micros === 0 ? '' : `You owe ${moneySpoken(before)} from earlier months. `;
}

function used({ totals, hours, month }: Usage): TemplateResult {
  return html`<h2>Used in ${monthText(`${month}-01T00:00:00Z`)}</h2><strong>${durationText(totals.participant_ms)}</strong>
    <p>${bytesText(totals.egress_bytes)} sent${hours.length ? html`, in ${hours.length} ${hours.length === 1 ? 'hour' : 'hours'} with calls` : nothing}.</p>
    <a class="more" href=${hrefOf({ at: 'usage', month: null })}>Hour by hour</a>`;
}

customElements.define('console-overview', ConsoleOverviewElement);
