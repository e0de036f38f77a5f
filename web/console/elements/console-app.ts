import { html, LitElement, nothing, type TemplateResult } from 'lit';
import { ApiError, ask } from '../../sdk/http.ts';
import coin from '../../theme/coin.svg';
import { sheet } from '../../theme/sheets.ts';
import { asApiError } from '../loading.ts';
import { hrefOf, routeOf, type Route } from '../route.ts';
import { viewSheets } from '../sheets.ts';
import type { Me } from '../types.ts';
import css from './console-app.css?inline';
import './console-call.ts';
import './console-calls.ts';
import './console-clock.ts';
import './console-keys.ts';
import './console-overview.ts';
import './console-paying.ts';
import './console-statement.ts';
import './console-statements.ts';
import './console-usage.ts';

type Session =
  | { readonly is: 'asking' }
  | { readonly is: 'in'; readonly me: Me }
  | { readonly is: 'out'; readonly error: ApiError | null }
  | { readonly is: 'trouble'; readonly error: ApiError };

/** The console: knows who is signed in and which view the address names. */
export class ConsoleAppElement extends LitElement {
  static override styles = [...viewSheets, sheet(css)];
  static override properties = { session: { state: true }, route: { state: true }, trouble: { state: true } };
  declare session: Session;
  declare route: Route;
  declare trouble: ApiError | null;

  constructor() {
    super();
    this.session = { is: 'asking' };
    this.trouble = null;
    this.route = routeOf(location.pathname, location.search);
    this.addEventListener('click', (event) => this.#clicked(event));
    this.addEventListener('signedout', () => (this.session = { is: 'out', error: null }));
    this.addEventListener('trouble', (event) => (this.trouble = asApiError((event as CustomEvent<unknown>).detail)));
  }

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener('popstate', this.#moved);
    addEventListener('hashchange', this.#signIn);
    void this.#signIn();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    removeEventListener('popstate', this.#moved);
    removeEventListener('hashchange', this.#signIn);
  }

  /** With a link's secret in the fragment, else with the cookie from before. */
  #signIn = async (): Promise<void> => {
    const link: string | null = new URLSearchParams(location.hash.slice(1)).get('link');
    if (link !== null) history.replaceState(null, '', location.pathname + location.search);
    else if (this.session.is === 'in') return;
    let refused: ApiError | null = null;
    if (link !== null) await ask('/v1/sessions', { method: 'POST', body: { link } }).catch((cause: unknown) => (refused = asApiError(cause)));
    try {
      this.session = { is: 'in', me: await ask<Me>('/v1/me') };
    } catch (cause) {
      const error: ApiError = asApiError(cause);
      this.session = error.status === 401 || error.status === 403 ? { is: 'out', error: refused } : { is: 'trouble', error };
    }
  };

  #moved = (): void => {
    this.route = routeOf(location.pathname, location.search);
    this.trouble = null;
  };

  /** A link within the console changes the address and the view, not the page. */
  #clicked(event: MouseEvent): void {
    const link = event.composedPath().find((node) => node instanceof HTMLAnchorElement);
    if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || link.target) return;
    if (link.origin !== location.origin || !/^\/console(\/|$)/.test(link.pathname)) return;
    event.preventDefault();
    if (link.href === location.href) return;
    history.pushState(null, '', link.href);
    this.#moved();
    if (!('keepScroll' in link.dataset)) scrollTo(0, 0);
  }

  protected override updated(): void {
    this.renderRoot.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }

  protected override render(): TemplateResult {
    return html`${this.session.is === 'in' ? this.#bar(this.session.me) : this.#plainBar()}
      <main id="main">
        ${this.trouble === null ? nothing : html`<div class="notice problem" role="alert"><strong>${this.trouble.title}</strong>${this.trouble.message} <button class="button small" @click=${() => (this.trouble = null)}>Understood</button></div>`}
        ${this.#content()}
      </main>`;
  }

  #content(): TemplateResult {
    switch (this.session.is) {
      case 'asking':
        return html`<p class="loading" role="status"><span class="spin" aria-hidden="true"></span>Signing in…</p>`;
      case 'in':
        return this.#view();
      case 'out':
        return signedOut(this.session.error);
      case 'trouble':
        return html`<div class="notice problem" role="alert"><strong>${this.session.error.title}</strong>${this.session.error.message}<div><button class="button small" @click=${() => void this.#signIn()}>Try again</button></div></div>`;
    }
  }

  #view(): TemplateResult {
    const { route } = this;
    switch (route.at) {
      case 'overview':
        return html`<console-overview></console-overview>`;
      case 'calls':
        return html`<console-calls></console-calls>`;
      case 'call':
        return html`<console-call .callId=${route.callId}></console-call>`;
      case 'usage':
        return html`<console-usage .month=${route.month}></console-usage>`;
      case 'statements':
        return html`<console-statements></console-statements>`;
      case 'statement':
        return html`<console-statement .statementId=${route.statementId} .lineId=${route.lineId} .hour=${route.hour}></console-statement>`;
      case 'paying':
        return html`<console-paying></console-paying>`;
      case 'keys':
        return html`<console-keys></console-keys>`;
      case 'clock':
        return html`<console-clock></console-clock>`;
      case 'nowhere':
        return html`<div class="view"><h1>There is no such page</h1><p class="lead">The address may be mistyped. <a href="/console">Go to the overview.</a></p></div>`;
    }
  }

  #plainBar(): TemplateResult {
    return html`<header><a class="wordmark" href="/"><img src=${coin} alt="" width="30" height="30" />Tuppence</a></header>`;
  }

  #bar({ tenant, member }: Me): TemplateResult {
    const tab = (label: string, route: Route, sections: readonly Route['at'][]): TemplateResult =>
      html`<a href=${hrefOf(route)} aria-current=${sections.includes(this.route.at) ? 'page' : nothing}>${label}</a>`;
    return html`<header>
      <a class="wordmark" href="/" aria-label="Tuppence"><img src=${coin} alt="" width="30" height="30" />Tuppence</a>
      <nav aria-label="Console">
        ${tab('Overview', { at: 'overview' }, ['overview'])} ${tab('Calls', { at: 'calls' }, ['calls', 'call'])}
        ${tab('Usage', { at: 'usage', month: null }, ['usage'])} ${tab('Statements', { at: 'statements' }, ['statements', 'statement'])}
        ${tab('Paying', { at: 'paying' }, ['paying'])} ${tab('Keys', { at: 'keys' }, ['keys'])} ${tenant.sandbox ? tab('Clock', { at: 'clock' }, ['clock']) : nothing}
      </nav>
      <div class="who"><span class="tenant">${tenant.name}</span>${tenant.sandbox ? html`<span class="tag draft">sandbox</span>` : nothing}
        <button class="button small" title=${`Signed in as ${member.name}`} @click=${() => void this.#signOut()}>Sign out</button></div>
    </header>`;
  }

  async #signOut(): Promise<void> {
    try {
      await ask('/v1/sessions', { method: 'DELETE' });
      this.session = { is: 'out', error: null };
    } catch (cause) {
      this.trouble = asApiError(cause);
    }
  }
}

function signedOut(error: ApiError | null): TemplateResult {
  return html`<div class="view signed-out">
    ${error === null ? nothing : html`<div class="notice problem" role="alert"><strong>${error.title}</strong>${error.message}</div>`}
    <h1>You are signed out</h1>
    <p class="lead">There is no password. One opens the console with a sign-in link, which works once and for a short time.</p>
    <div class="card"><h2>Where the link comes from</h2>
      <p>Whoever runs this service sees an <strong>owner link</strong> in the terminal each time it starts. It looks like this:</p>
      <p class="mono sample">${location.origin}/console#link=…</p>
      <p>Open it in this browser. If it has been used already, start the service again: it prints a new one.</p></div>
  </div>`;
}

customElements.define('console-app', ConsoleAppElement);
