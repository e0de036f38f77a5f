import { html, nothing, type TemplateResult } from 'lit';
import type { CallParticipant, Money, Statement, StatementStatus } from './types.ts';
import { decimalsOf, minorDigits, moneyText, quantityExact, quantityText, together } from './words.ts';

/**
 * An amount in a column: the points of a column stand under each other, since what is missing behind the point is
 * padded with unseen digits; digits below the cent, or whatever the currency's smallest coin is, are softer.
 */
export function moneyCell(money: Money, places: number): TemplateResult {
  const text: string = moneyText(money);
  const decimals: number = decimalsOf(money);
  const cut: number = text.length - decimals + minorDigits(money.currency);
  const padding: string = (decimals === 0 && places > 0 ? '.' : '') + '0'.repeat(Math.max(0, places - decimals));
  return html`<span class="money">${text.slice(0, cut)}<span class="below-cent">${text.slice(cut)}</span><span class="unseen" aria-hidden="true">${padding}</span></span>`;
}

/** The most digits behind the point in a column. */
export function placesOf(amounts: readonly Money[]): number {
  return Math.max(0, ...amounts.map(decimalsOf));
}

const STATUSES: Record<StatementStatus, readonly [words: string, look: string]> = {
  draft: ['draft', 'draft'],
  final: ['on the tab', ''],
  collecting: ['being collected', 'draft'],
  paid: ['paid', 'live'],
  void: ['taken back', ''],
  uncollectible: ['given up', 'bad'],
};

/** Where a statement stands, in a word or two. */
export function statusTag(status: StatementStatus): TemplateResult {
  const [words, look] = STATUSES[status];
  return html`<span class="tag ${look}">${words}</span>`;
}

/** What a statement comes to: a draft exactly so far, a final one in whole cents. */
export function sumOfStatement({ status, total, carried_out }: Statement): Money {
  return status === 'draft' ? together(total, carried_out) : total;
}

export function quantityCell(quantity: number | null, meter: string | null): TemplateResult | typeof nothing {
  return quantity === null ? nothing : html`<span title=${quantityExact(quantity, meter)}>${quantityText(quantity, meter)}</span>`;
}

/** Who was in a call, in one line. */
export function peopleText(participants: readonly CallParticipant[]): string {
  const names: readonly string[] = participants.map(({ name }) => name || 'Guest');
  return names.length > 4 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} others` : names.join(', ');
}

export const sumOf = (participants: readonly CallParticipant[], what: 'participant_ms' | 'egress_bytes' | 'message_count'): number =>
  participants.reduce((sum, one) => sum + one[what], 0);
