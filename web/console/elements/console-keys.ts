import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { ask } from '../../sdk/http.ts';
import { icon } from '../../theme/icons.ts';
import { sheet } from '../../theme/sheets.ts';
import { Loading } from '../loading.ts';
import { viewSheets } from '../sheets.ts';
import type { Key, NewKey } from '../types.ts';
import { dayText } from '../words.ts';
import css from './console-keys.css?inline';

/** API keys: made here, shown once, revoked at once. */
export class ConsoleKeysElement extends LitElement {
  static override styles = [...viewSheets, sheet(css)];
  static override properties = { kind: { state: true }, made: { state: true }, busy: { state: true }, revoking: { state: true }, copied: { state: true } };
  declare kind: Key['kind'];
  declare made: NewKey | null;
  declare busy: boolean;
  declare revoking: Key | null;
  declare copied: boolean;
  #keys = new Loading<{ readonly keys: readonly Key[] }>(this, (signal) => ask('/v1/keys', { signal }));

  constructor() {
    super();
    this.kind = 'secret';
    this.made = this.revoking = null;
    this.busy = this.copied = false;
  }

  protected override render(): TemplateResult {
    return html`<div class="view"><h1>API keys</h1>
      ${this.made === null ? nothing : this.#madeKey(this.made)}
      <section class="card" aria-labelledby="new"><h2 id="new">New key</h2>${this.#form()}</section>
      <section class="card" aria-labelledby="keys"><h2 id="keys">Your keys</h2>${this.#keys.render(({ keys }) => this.#list(keys))}</section>
      ${this.revoking === null ? nothing : this.#confirm(this.revoking)}
    </div>`;
  }

  #form(): TemplateResult {
    const publishable: boolean = this.kind === 'publishable';
    return html`<form @submit=${this.#make}>
      <fieldset><legend class="sr-only">Kind of key</legend>
        ${this.#choice('secret', 'Secret', 'For your server. May do everything; keep it out of pages and repositories.')}
        ${this.#choice('publishable', 'Publishable', 'For your page. May only ring you, and only from the pages you name.')}
      </fieldset>
      ${publishable ? html`<div class="field"><label for="origins">Pages that may use it</label>
        <input id="origins" name="origins" required placeholder="https://shop.example" aria-describedby="origins-help" />
        <span id="origins-help" class="soft">Origins, separated by spaces. Without a path: https://shop.example</span></div>` : nothing}
      <button class="button primary" ?disabled=${this.busy}>${this.busy ? 'Making…' : 'Make the key'}</button>
    </form>`;
  }

  #choice(kind: Key['kind'], label: string, what: string): TemplateResult {
    return html`<label class="choice"><input type="radio" name="kind" value=${kind} .checked=${this.kind === kind} @change=${() => (this.kind = kind)} /><span><strong>${label}</strong><br /><span class="soft">${what}</span></span></label>`;
  }

  #madeKey({ key, kind }: NewKey): TemplateResult {
    return html`<div class="notice good" role="status"><strong>Your new ${kind} key. Copy it now: it is not shown again.</strong>
      <p class="secret mono">${key}</p>
      <div class="actions"><button class="button small" @click=${() => void this.#copy(key)}>${icon(this.copied ? 'check' : 'copy')} ${this.copied ? 'Copied' : 'Copy'}</button>
      <button class="button small" @click=${() => (this.made = null)}>I have kept it</button></div></div>`;
  }

  #list(keys: readonly Key[]): TemplateResult {
    if (keys.length === 0) return html`<div class="empty"><strong>No key yet.</strong><span>Your server needs a secret key to make rooms and invitations; your page needs a publishable one to ring you.</span></div>`;
    return html`<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>
      <thead><tr><th scope="col">Key</th><th scope="col">Kind</th><th scope="col">Pages</th><th scope="col">Made</th><th scope="col"><span class="sr-only">Revoke</span></th></tr></thead>
      <tbody>${keys.map((key) => html`<tr>
        <th scope="row" class="mono key">${key.key ?? `${key.prefix}…`}</th><td>${key.kind}</td><td>${key.origins.join(', ')}</td><td class="nowrap">${dayText(key.created_at)}</td>
        <td class="number">${key.revoked_at === undefined ? html`<button class="button small" aria-label=${`Revoke ${key.prefix}`} @click=${() => (this.revoking = key)}>Revoke</button>` : html`<span class="tag">revoked ${dayText(key.revoked_at)}</span>`}</td></tr>`)}</tbody>
    </table></div>`;
  }

  #confirm(key: Key): TemplateResult {
    return html`<dialog aria-labelledby="revoke" @close=${() => (this.revoking = null)}>
      <h2 id="revoke">Revoke ${key.prefix}…?</h2>
      <p>Whatever uses this key is refused from now on. This cannot be undone; make a new key first if something still needs one.</p>
      <div class="actions"><button class="button danger" @click=${() => void this.#revoke(key)}>Revoke the key</button><button class="button" @click=${() => (this.revoking = null)}>Keep it</button></div>
    </dialog>`;
  }

  protected override updated(): void {
    const dialog: HTMLDialogElement | null = this.renderRoot.querySelector('dialog');
    if (dialog && !dialog.open) dialog.showModal();
  }

  async #make(event: Event): Promise<void> {
    event.preventDefault();
    const typed: string = this.renderRoot.querySelector<HTMLInputElement>('#origins')?.value ?? '';
    const origins: readonly string[] = typed.split(/[\s,]+/).filter(Boolean);
    await this.#busily(async () => {
      this.made = await ask<NewKey>('/v1/keys', { method: 'POST', body: this.kind === 'publishable' ? { kind: this.kind, origins } : { kind: this.kind } });
      await this.#keys.again();
    });
  }

  async #revoke({ key_id }: Key): Promise<void> {
    this.revoking = null;
    await this.#busily(async () => {
      await ask(`/v1/keys/${encodeURIComponent(key_id)}`, { method: 'DELETE' });
      await this.#keys.again();
    });
  }

  async #busily(run: () => Promise<void>): Promise<void> {
    this.busy = true;
    try {
      await run();
    } catch (cause) {
      this.dispatchEvent(new CustomEvent('trouble', { detail: cause, bubbles: true, composed: true }));
    }
    this.busy = false;
  }

  async #copy(key: string): Promise<void> {
    await navigator.clipboard.writeText(key).then(() => (this.copied = true)).catch(() => {});
    setTimeout(() => (this.copied = false), 2500);
  }
}

customElements.define('console-keys', ConsoleKeysElement);
