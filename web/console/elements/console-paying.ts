import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { ask } from '../../sdk/http.ts';
import { sheet } from '../../theme/sheets.ts';
import { Loading } from '../loading.ts';
import { moneyCell, placesOf } from '../parts.ts';
import { viewSheets } from '../sheets.ts';
import type { Account, Money, Payment, PaymentMethod, Tab } from '../types.ts';
import { dayText, microsTyped, minorDigits, minuteText, moneySpoken, moneyText, monthText } from '../words.ts';
import css from './console-paying.css?inline';

/** What the sandbox does with a charge is written in the token of the way to pay. */
const REHEARSALS: readonly { readonly token: string; readonly label: string }[] = [
  { token: 'sandbox_succeeds', label: 'Every charge succeeds' },
  { token: 'sandbox_no_funds_once', label: 'No funds the first time, then it succeeds' },
  { token: 'sandbox_no_funds', label: 'Never any funds' },
  { token: 'sandbox_card_lost', label: 'The card is lost' },
  { token: 'sandbox_dispute_lost', label: 'It succeeds, and the payer objects later' },
];

const PURPOSES: Record<Payment['purpose'], string> = { collection: 'The tab', top_up: 'Into the wallet', refill: 'The wallet fills itself up' };
const STATES: Record<Payment['state'], string> = { attempted: 'under way', succeeded: 'paid', failed: 'failed' };
const LOOKS: Record<Payment['state'], string> = { attempted: 'draft', succeeded: 'live', failed: 'bad' };

interface Everything {
  readonly account: Account;
  readonly tab: Tab;
  readonly methods: readonly PaymentMethod[];
  readonly payments: readonly Payment[];
}

/** What is owed, how it is paid, the wallet, and what was paid. */
export class ConsolePayingElement extends LitElement {
  static override styles = [...viewSheets, sheet(css)];
  static override properties = { busy: { state: true }, done: { state: true }, wrong: { state: true } };
  declare busy: boolean;
  declare done: string | null;
  declare wrong: Record<string, string>;
  #all = new Loading<Everything>(this, everything, 3000);
  /** Of the request that was sent last and not answered, so that a second click sends the same one. */
  #key: { readonly request: string; readonly idempotencyKey: string } | null = null;

  constructor() {
    super();
    this.busy = false;
    this.done = null;
    this.wrong = {};
  }

  protected override render(): TemplateResult {
    return html`<div class="view"><h1>Paying</h1>${this.#all.render((all) => this.#whole(all), 'Looking at the tab…')}</div>`;
  }

  #whole({ account, tab, methods, payments }: Everything): TemplateResult {
    return html`
      <div class="notice">${tab.processor.says}</div>
      ${this.done === null ? nothing : html`<div class="notice good" role="status">${this.done}</div>`}
      <div class="cards">${this.#tab(tab, methods)} ${this.#wallet(tab)}</div>
      <section class="card" aria-labelledby="how"><h2 id="how">How you pay</h2>${this.#settings(account, tab, methods)}</section>
      ${tab.processor.name === 'sandbox' ? html`<section class="card" aria-labelledby="another"><h2 id="another">Another way to pay</h2>${this.#naming(tab)}</section>` : nothing}
      <section class="card" aria-labelledby="payments"><h2 id="payments">What was paid</h2>${paid(payments)}</section>`;
  }

  #tab({ owed, next, until, account_id, payment_method_id }: Tab, methods: readonly PaymentMethod[]): TemplateResult {
    const method: PaymentMethod | undefined = methods.find((it) => it.payment_method_id === payment_method_id);
    return html`<section class="card figure"><h2>Your tab</h2><strong>${moneySpoken(owed)}</strong>
      <p>${next.why}</p>
      ${until === null ? nothing : html`<p class="soft">It waits until ${dayText(until)} at the longest.</p>`}
      ${owed.micros <= 0 ? nothing : method === undefined ? html`<p class="soft">Choose a way to pay below, and you can pay it now.</p>`
        : html`<div class="actions"><button class="button primary" ?disabled=${this.busy} @click=${() => void this.#post(`/v1/accounts/${account_id}/pay`, {}, `Paying by ${method.label}. It is below when it is done.`)}>Pay it now</button></div>`}
    </section>`;
  }

  #wallet({ wallet, account_id, payment_method_id, refill }: Tab): TemplateResult {
    const put = (units: number): TemplateResult => {
      const money: Money = { micros: units * 100_000_000, currency: wallet.currency, amount: `${units}.00` };
      return html`<button class="button small" ?disabled=${this.busy} @click=${() => void this.#post(`/v1/accounts/${account_id}/top-ups`, { amount_micros: money.micros }, `Putting ${moneyText(money)} into the wallet.`)}>Put in ${moneyText(money)}</button>`;
    };
    // Five of a yen would be below what any processor takes.
    const cents: boolean = minorDigits(wallet.currency) === 2;
    return html`<section class="card figure"><h2>Your wallet</h2><strong>${moneySpoken(wallet)}</strong>
      <p>Money paid ahead: statements are paid from it at once, and one fee serves many months.</p>
      ${refill === null ? nothing : html`<p class="soft">It fills itself up with ${moneyText(refill.amount)}, and with ${moneyText(refill.monthly_ceiling)} a month at most.</p>`}
      ${payment_method_id === null || !cents ? nothing : html`<div class="actions">${[5, 10, 20].map(put)}</div>`}</section>`;
  }

  #settings({ currency }: Account, tab: Tab, methods: readonly PaymentMethod[]): TemplateResult {
    const by = (id: string, label: string, what: string): TemplateResult => html`<label class="choice">
      <input type="radio" name="method" value=${id} .checked=${(tab.payment_method_id ?? '') === id} /><span><strong>${label}</strong><br /><span class="soft">${what}</span></span></label>`;
    return html`<form @submit=${(event: SubmitEvent) => void this.#set(event, tab.account_id, currency)} novalidate>
      <fieldset><legend class="sr-only">Way to pay</legend>
        ${methods.map(({ payment_method_id, label, rail, created_at }) => by(payment_method_id, label, `${rail === 'card' ? 'Card' : 'Bank debit'}, named on ${dayText(created_at)}`))}
        ${by('', 'None', 'Nothing is taken. What you owe stands on the tab.')}</fieldset>
      <div class="fields">
        ${this.#amount('at_least', `Ask me for no less than (${currency})`, tab.at_least, 'Empty: whenever the fee is a tenth at most.')}
        ${this.#amount('refill', `Fill the wallet up with (${currency})`, tab.refill?.amount ?? null, 'Empty: it does not fill itself up.')}
        ${this.#amount('ceiling', `In a month at most (${currency})`, tab.refill?.monthly_ceiling ?? null, 'Needed where the wallet fills itself up.')}
      </div>
      <div class="actions"><button class="button primary" ?disabled=${this.busy}>Keep this</button></div>
    </form>`;
  }

  #amount(name: string, label: string, value: Money | null, help: string): TemplateResult {
    const wrong: string | undefined = this.wrong[name];
    return html`<div class="field"><label for=${name}>${label}</label>
      <input id=${name} name=${name} inputmode="decimal" autocomplete="off" maxlength="12" value=${value?.amount ?? ''} aria-describedby="${name}-help" aria-invalid=${wrong !== undefined} />
      <span id="${name}-help" class=${wrong === undefined ? 'soft' : 'wrong'}>${wrong ?? help}</span></div>`;
  }

  #naming({ account_id }: Tab): TemplateResult {
    return html`<form @submit=${(event: SubmitEvent) => void this.#name(event, account_id)}>
      <p class="soft">In the sandbox you choose what becomes of a charge.</p>
      <div class="fields">
        <div class="field"><label for="label">What you call it</label><input id="label" name="label" required maxlength="60" placeholder="Visa ending in 4242" /></div>
        <div class="field"><label for="token">What happens</label><select id="token" name="token">${REHEARSALS.map(({ token, label }) => html`<option value=${token}>${label}</option>`)}</select></div>
      </div>
      <div class="actions"><button class="button" ?disabled=${this.busy}>Name it</button></div>
    </form>`;
  }

  async #set(event: SubmitEvent, account: string, currency: string): Promise<void> {
    event.preventDefault();
    const typed = new FormData(event.target as HTMLFormElement);
    const text = (name: string): string => String(typed.get(name) ?? '').trim();
    const micros = (name: string): number | null => microsTyped(text(name), currency);
    const wrong: Record<string, string> = {};
    for (const name of ['at_least', 'refill', 'ceiling']) {
      if (text(name) !== '' && micros(name) === null) wrong[name] = 'Type an amount such as 5.00.';
    }
    if (text('refill') !== '' && text('ceiling') === '') wrong['ceiling'] = 'Say how much it may be in a month at most.';
    this.wrong = wrong;
    if (Object.keys(wrong).length > 0) return;
    const refill = text('refill') === '' ? null : { amount_micros: micros('refill'), monthly_ceiling_micros: micros('ceiling') };
    const body = { payment_method_id: text('method') || null, at_least_micros: micros('at_least'), refill };
    await this.#post(`/v1/accounts/${account}/payment-settings`, body, 'Kept.');
  }

  async #name(event: SubmitEvent, account: string): Promise<void> {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const typed = new FormData(form);
    const body = { label: String(typed.get('label')), token: String(typed.get('token')) };
    if (await this.#post(`/v1/accounts/${account}/payment-methods`, body, `You pay by ${body.label} from now on.`)) form.reset();
  }

  /** Sends it once, however often it is clicked: until an answer came, the same request has the same key. */
  async #post(path: string, body: unknown, done: string): Promise<boolean> {
    const request: string = path + JSON.stringify(body);
    if (this.#key?.request !== request) this.#key = { request, idempotencyKey: crypto.randomUUID() };
    this.busy = true;
    this.done = null;
    let kept = true;
    try {
      await ask(path, { method: 'POST', body, idempotencyKey: this.#key.idempotencyKey });
      this.#key = null;
      this.done = done;
      await this.#all.again();
    } catch (cause) {
      kept = false;
      this.dispatchEvent(new CustomEvent('trouble', { detail: cause, bubbles: true, composed: true }));
    }
    this.busy = false;
    return kept;
  }
}

async function everything(signal: AbortSignal): Promise<Everything> {
  const { accounts } = await ask<{ readonly accounts: readonly Account[] }>('/v1/accounts', { signal });
  const account: Account | undefined = accounts.find(({ is_business }) => is_business);
  if (account === undefined) throw new Error('the business has no account');
  const of = (what: string): string => `/v1/accounts/${encodeURIComponent(account.account_id)}/${what}`;
  const [tab, { payment_methods }, { payments }] = await Promise.all([
    ask<Tab>(of('tab'), { signal }),
    ask<{ readonly payment_methods: readonly PaymentMethod[] }>(of('payment-methods'), { signal }),
    ask<{ readonly payments: readonly Payment[] }>(of('payments'), { signal }),
  ]);
  return { account, tab, methods: payment_methods, payments };
}

function paid(payments: readonly Payment[]): TemplateResult {
  if (payments.length === 0) {
    return html`<div class="empty"><strong>Nothing yet.</strong><span>A tab is collected when its fee is a small part of it. Until then nothing is due, and nothing is lost.</span></div>`;
  }
  const places: number = placesOf(payments.map(({ amount }) => amount));
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>
    <thead><tr><th scope="col">When (UTC)</th><th scope="col">What for</th><th scope="col">How it went</th><th scope="col" class="number">Fee</th><th scope="col" class="number">Amount</th></tr></thead>
    <tbody>${payments.map(({ purpose, amount, why, state, detail, fee, attempted_at }) => html`<tr>
      <th scope="row" class="nowrap">${minuteText(attempted_at)}<br /><span class="soft">${monthText(attempted_at)}</span></th>
      <td>${PURPOSES[purpose]}<br /><span class="soft">${why}</span></td>
      <td><span class="tag ${LOOKS[state]}">${STATES[state]}</span>${detail === null ? nothing : html`<br /><span class="soft">${detail}</span>`}</td>
      <td class="number">${fee === null ? nothing : moneyText(fee)}</td>
      <td class="number">${moneyCell(amount, places)}</td></tr>`)}</tbody>
  </table></div>`;
}

customElements.define('console-paying', ConsolePayingElement);
