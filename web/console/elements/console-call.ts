import { html, LitElement, type TemplateResult } from 'lit';
import { ask } from '../../sdk/http.ts';
import { icon } from '../../theme/icons.ts';
import { Loading } from '../loading.ts';
import { quantityCell, sumOf } from '../parts.ts';
import { hrefOf } from '../route.ts';
import { viewSheets } from '../sheets.ts';
import './console-quality.ts';
import type { CallDetail, CallParticipant, Leg, LegHour } from '../types.ts';
import { bytesText, durationText, hourText, momentText } from '../words.ts';

/** One call, down to each connection and each hour it was counted in. */
export class ConsoleCallElement extends LitElement {
  static override styles = [...viewSheets];
  static override properties = { callId: { attribute: false } };
  declare callId: string;
  #call = new Loading<CallDetail>(this, (signal) => ask(`/v1/calls/${encodeURIComponent(this.callId)}`, { signal }), 5000);

  protected override render(): TemplateResult {
    return html`<div class="view">
      <a class="back" href=${hrefOf({ at: 'calls' })}>${icon('back')}All calls</a>
      ${this.#call.render(whole)}
    </div>`;
  }
}

function whole(call: CallDetail): TemplateResult {
  return html`
    <div class="head"><div><h1>${call.room_title || 'Untitled room'}</h1>
      <p class="soft">${momentText(call.started_at)} – ${call.ended_at === null ? 'now' : momentText(call.ended_at)}</p></div>
      ${call.ended_at === null ? html`<span class="actions"><span class="tag live">live</span><a class="button" target="_blank" href=${`/r/${call.room_id}`}>Join</a></span>` : ''}</div>
    <div class="cards">
      <section class="card figure"><h2>Participant time</h2><strong>${durationText(sumOf(call.participants, 'participant_ms'))}</strong><p class="soft">From each person’s click to their leaving.</p></section>
      <section class="card figure"><h2>Sent to participants</h2><strong>${bytesText(sumOf(call.participants, 'egress_bytes'))}</strong><p class="soft">What left our servers towards them.</p></section>
    </div>
    ${call.ended_at === null ? html`<console-quality .callId=${call.call_id} .nameOf=${(legId: string) => nameOf(call, legId)}></console-quality>` : ''}
    <section class="card" aria-labelledby="people"><h2 id="people">People</h2><div class="scroll" tabindex="0" role="group" aria-label="Table"><table>
      <thead><tr><th scope="col">Name</th><th scope="col">Joined</th><th scope="col">Left</th><th scope="col" class="number">Time</th><th scope="col" class="number">Sent</th><th scope="col" class="number">Messages</th></tr></thead>
      <tbody>${call.participants.map(person)}</tbody></table></div></section>
    <section class="card" aria-labelledby="legs"><h2 id="legs">Connections</h2>
      <p class="lead">Each is counted by the hour, on the machine that carried it. These counters are what the statement is made of.</p>
      <div class="scroll" tabindex="0" role="group" aria-label="Table"><table>
      <thead><tr><th scope="col">Connection</th><th scope="col">Hour (UTC)</th><th scope="col" class="number">Participant time</th><th scope="col" class="number">Sent</th><th scope="col" class="number">Messages</th></tr></thead>
      <tbody>${call.legs.map(leg)}</tbody></table></div></section>`;
}

/** Whose a connection is. */
function nameOf({ legs, participants }: CallDetail, legId: string): string {
  const owner: string | undefined = legs.find(({ leg_id }) => leg_id === legId)?.participant_id;
  return participants.find(({ participant_id }) => participant_id === owner)?.name || 'Guest';
}

function person({ name, joined_at, left_at, participant_ms, egress_bytes, message_count }: CallParticipant): TemplateResult {
  return html`<tr><th scope="row">${name || 'Guest'}</th>
    <td class="nowrap">${joined_at === null ? 'looked in only' : momentText(joined_at)}</td>
    <td class="nowrap">${left_at === null ? (joined_at === null ? '' : 'still there') : momentText(left_at)}</td>
    <td class="number">${quantityCell(participant_ms, 'participant_ms')}</td><td class="number">${quantityCell(egress_bytes, 'egress_bytes')}</td><td class="number">${quantityCell(message_count, 'message_count')}</td></tr>`;
}

function leg({ leg_id, path, node, hours, end_reason }: Leg): TemplateResult {
  const shown: readonly (LegHour | null)[] = hours.length ? hours : [null];
  return html`${shown.map((hour, index) => html`<tr>
    ${index === 0 ? html`<th scope="row" rowspan=${shown.length}><span class="mono" title=${leg_id}>…${leg_id.slice(-12)}</span><br /><span class="soft">by ${path.toUpperCase()} on ${node}${end_reason === null ? '' : `, ended: ${end_reason.replaceAll('_', ' ')}`}</span></th>` : ''}
    ${hour === null ? html`<td colspan="4" class="soft">Nothing counted: not in the call, or not yet reported.</td>` : html`<td class="nowrap">${hourText(hour.hour)}</td><td class="number">${quantityCell(hour.participant_ms, 'participant_ms')}</td><td class="number">${quantityCell(hour.egress_bytes, 'egress_bytes')}</td><td class="number">${quantityCell(hour.message_count, 'message_count')}</td>`}
  </tr>`)}`;
}

customElements.define('console-call', ConsoleCallElement);
