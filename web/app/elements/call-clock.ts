import { html, LitElement, type TemplateResult } from 'lit';

/** How long this page has been in the call. */
export class CallClockElement extends LitElement {
  static override properties = { seconds: { state: true } };
  declare seconds: number;
  #timer = 0;

  constructor() {
    super();
    this.seconds = 0;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const start: number = performance.now();
    this.#timer = window.setInterval(() => (this.seconds = Math.floor((performance.now() - start) / 1000)), 1000);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#timer);
  }

  protected override render(): TemplateResult {
    const two = (value: number): string => String(value).padStart(2, '0');
    const hours: number = Math.floor(this.seconds / 3600);
    const rest = `${two(Math.floor(this.seconds / 60) % 60)}:${two(this.seconds % 60)}`;
    return html`<span role="timer" aria-label="Time in the call">${hours ? `${hours}:${rest}` : rest}</span>`;
  }
}

customElements.define('call-clock', CallClockElement);
declare global {
  interface HTMLElementTagNameMap {
    'call-clock': CallClockElement;
  }
}
