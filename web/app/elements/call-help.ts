import { html, LitElement, type TemplateResult } from 'lit';
import { baseSheet, sheet } from '../../theme/sheets.ts';
import { askFor } from '../asking.ts';
import { shortcuts } from '../shortcuts.ts';
import css from './call-help.css?inline';

/** The keyboard shortcuts, and the switch that turns them off (WCAG 2.1.4). */
export class CallHelpElement extends LitElement {
  static override styles = [baseSheet, sheet(css)];
  static override properties = { on: { type: Boolean } };
  declare on: boolean;

  protected override render(): TemplateResult {
    return html`
      <table>
        <thead class="sr-only">
          <tr><th scope="col">Key</th><th scope="col">What it does</th></tr>
        </thead>
        <tbody>
          ${shortcuts.map(({ keys, does }) => html`<tr><th scope="row"><kbd>${keys}</kbd></th><td>${does}</td></tr>`)}
        </tbody>
      </table>
      <label class="switch"><input type="checkbox" .checked=${this.on} @change=${(event: Event) => askFor(this, { ask: 'shortcuts', on: (event.target as HTMLInputElement).checked })} /> Shortcuts are on</label>
    `;
  }
}

customElements.define('call-help', CallHelpElement);
declare global {
  interface HTMLElementTagNameMap {
    'call-help': CallHelpElement;
  }
}
