import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { ask } from '../../sdk/http.ts';
import { Loading } from '../loading.ts';
import { hrefOf } from '../route.ts';
import { viewSheets } from '../sheets.ts';
import type { Clock, StatementSummary } from '../types.ts';
import { momentText, moneySpoken, monthText } from '../words.ts';

interface Step {
  readonly label: string;
  readonly to: string;
}

/** A sandbox tenant's time, which can be moved forward to see a month end. */
export class ConsoleClockElement extends LitElement {
  static override styles = [...viewSheets];
  static override properties = { step: { state: true }, moving: { state: true }, finalized: { state: true } };
  declare step: Step | null;
  declare moving: boolean;
  declare finalized: readonly StatementSummary[] | null;
  #clock = new Loading<Clock>(this, (signal) => ask('/v1/clock', { signal }), 5000);

  constructor() {
    super();
    this.step = this.finalized = null;
    this.moving = false;
  }

  protected override render(): TemplateResult {
    return html`<div class="view"><h1>Sandbox clock</h1>${this.#clock.render((clock) => (clock.sandbox ? this.#sandbox(clock) : real(clock)))}</div>`;
  }

  #sandbox({ now, offset_hours }: Clock): TemplateResult {
    return html`
      <p class="lead">This is a sandbox: its time is your toy. Move it forward to see charges add up and a month be finalised, without waiting. It never moves back.</p>
      ${this.finalized === null ? nothing : this.#outcome(this.finalized)}
      <section class="card figure"><h2>It is now</h2><strong>${momentText(now)}</strong>
        <p class="soft">${offset_hours === 0 ? 'The same as the real time.' : `${offset_hours.toLocaleString('en')} hours ahead of the real time.`}</p></section>
      <section class="card" aria-labelledby="advance"><h2 id="advance">Move it forward</h2>
        <div class="actions">${steps(now).map((step) => html`<button class="button" ?disabled=${this.moving} @click=${() => (this.step = step)}>${step.label}</button>`)}</div>
        ${this.moving ? html`<p class="loading" role="status"><span class="spin" aria-hidden="true"></span>Moving the clock and finalising each month that ends on the way…</p>` : nothing}
      </section>
      ${this.step === null ? nothing : this.#confirm(this.step, now)}`;
  }

  #outcome(finalized: readonly StatementSummary[]): TemplateResult {
    if (finalized.length === 0) return html`<div class="notice good" role="status"><strong>The clock has moved.</strong>No month ended on the way.</div>`;
    return html`<div class="notice good" role="status"><strong>The clock has moved, and ${finalized.length === 1 ? 'a statement was' : `${finalized.length} statements were`} finalised.</strong>
      ${finalized.map(({ statement_id, number, period, total }) => html`<div><a href=${hrefOf({ at: 'statement', statementId: statement_id, lineId: null, hour: null })}>${monthText(period.start)}</a>, statement ${number}: ${moneySpoken(total)}</div>`)}</div>`;
  }

  #confirm({ label, to }: Step, now: string): TemplateResult {
    const ends: boolean = to.slice(0, 7) !== now.slice(0, 7);
    return html`<dialog aria-labelledby="confirm" @close=${() => (this.step = null)}>
      <h2 id="confirm">${label}?</h2>
      <p>It will be ${momentText(to)}. ${ends ? `${monthText(now)} ends and its statement is finalised. ` : ''}The clock cannot be moved back.</p>
      <div class="actions"><button class="button primary" @click=${() => void this.#advance(to)}>Move the clock</button><button class="button" @click=${() => (this.step = null)}>Leave it</button></div>
    </dialog>`;
  }

  protected override updated(): void {
    const dialog: HTMLDialogElement | null = this.renderRoot.querySelector('dialog');
    if (dialog && !dialog.open) dialog.showModal();
  }

  async #advance(to: string): Promise<void> {
    this.step = null;
    this.moving = true;
    try {
      const answer = await ask<{ readonly finalized: readonly StatementSummary[] }>('/v1/clock/advance', { method: 'POST', body: { to } });
      this.finalized = answer.finalized;
      await this.#clock.again();
    } catch (cause) {
      this.dispatchEvent(new CustomEvent('trouble', { detail: cause, bubbles: true, composed: true }));
    }
    this.moving = false;
  }
}

function real({ now }: Clock): TemplateResult {
  return html`<section class="card figure"><h2>It is now</h2><strong>${momentText(now)}</strong><p class="soft">This business is real, and so is its time. Only a sandbox’s clock can be moved.</p></section>`;
}

function steps(now: string): readonly Step[] {
  const at = new Date(now);
  const after = (hours: number): string => new Date(at.getTime() + hours * 3_600_000).toISOString();
  const month = (ahead: number): string => new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + ahead, 1)).toISOString();
  return [
    { label: 'One hour', to: after(1) },
    { label: 'One day', to: after(24) },
    { label: 'To the end of this month', to: month(1) },
    { label: 'To the end of next month', to: month(2) },
  ];
}

customElements.define('console-clock', ConsoleClockElement);
