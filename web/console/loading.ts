import { html, type ReactiveController, type ReactiveControllerHost, type TemplateResult } from 'lit';
import { ApiError } from '../sdk/http.ts';

type State<T> =
  | { readonly is: 'loading' }
  | { readonly is: 'ready'; readonly value: T }
  | { readonly is: 'failed'; readonly error: ApiError };

/** Something fetched for a view: shows that it is on its way, what came, or what went wrong and what to do. */
export class Loading<T> implements ReactiveController {
  readonly #host: ReactiveControllerHost & EventTarget;
  readonly #fetch: (signal: AbortSignal) => Promise<T>;
  readonly #everyMs: number | undefined;
  #state: State<T> = { is: 'loading' };
  #abort = new AbortController();
  #timer = 0;

  /** `everyMs` fetches again and again while the view is on the page and the tab is seen. */
  constructor(host: ReactiveControllerHost & EventTarget, fetch: (signal: AbortSignal) => Promise<T>, everyMs?: number) {
    this.#host = host;
    this.#fetch = fetch;
    this.#everyMs = everyMs;
    host.addController(this);
  }

  hostConnected(): void {
    void this.again();
  }

  hostDisconnected(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }

  get value(): T | undefined {
    return this.#state.is === 'ready' ? this.#state.value : undefined;
  }

  /** Fetches anew; what is shown stays until the answer comes, unless `fresh`. */
  async again({ fresh = false } = {}): Promise<void> {
    clearTimeout(this.#timer);
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    if (fresh || this.#state.is === 'failed') this.#set({ is: 'loading' });
    try {
      const value: T = await this.#fetch(abort.signal);
      if (!abort.signal.aborted) this.#set({ is: 'ready', value });
    } catch (cause) {
      if (!abort.signal.aborted) this.#failed(cause);
    }
    if (!abort.signal.aborted && this.#everyMs !== undefined) this.#timer = window.setTimeout(() => this.#poll(), this.#everyMs);
  }

  render(ready: (value: T) => TemplateResult, words = 'Loading…'): TemplateResult {
    switch (this.#state.is) {
      case 'loading':
        return html`<p class="loading" role="status"><span class="spin" aria-hidden="true"></span>${words}</p>`;
      case 'ready':
        return ready(this.#state.value);
      case 'failed': {
        const { title, message } = this.#state.error;
        return html`<div class="notice problem" role="alert"><strong>${title}</strong>${message}
          <div><button class="button small" @click=${() => void this.again({ fresh: true })}>Try again</button></div></div>`;
      }
    }
  }

  #poll(): void {
    if (document.visibilityState === 'visible') void this.again();
    else this.#timer = window.setTimeout(() => this.#poll(), this.#everyMs);
  }

  #failed(cause: unknown): void {
    const error: ApiError = asApiError(cause);
    if (error.status === 401) this.#host.dispatchEvent(new CustomEvent('signedout', { bubbles: true, composed: true }));
    this.#set({ is: 'failed', error });
  }

  #set(state: State<T>): void {
    this.#state = state;
    this.#host.requestUpdate();
  }
}

/** Whatever went wrong, in words. */
export function asApiError(cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause;
  return new ApiError({ code: 'failed', status: 0, title: 'The page did not understand the answer', detail: `Reload the page; it may be older than the service. (${String(cause)})` });
}
