import { html, LitElement, type TemplateResult } from 'lit';
import UPlot from 'uplot';
import plotCss from 'uplot/dist/uPlot.min.css?inline';
import { sheet } from '../../theme/sheets.ts';
import type { UsageHour } from '../types.ts';
import css from './console-chart.css?inline';

const HOUR_S = 3600;

/** Bars of participant minutes over the hours of a month. The table below it says the same in words. */
export class ConsoleChartElement extends LitElement {
  static override styles = [sheet(plotCss), sheet(css)];
  static override properties = { hours: { attribute: false }, month: { attribute: false } };
  declare hours: readonly UsageHour[];
  declare month: string;
  #plot: UPlot | undefined;
  #drawn = '';
  #resize = new ResizeObserver(() => this.#plot?.setSize({ width: this.clientWidth, height: this.clientHeight }));
  #scheme = matchMedia('(prefers-color-scheme: dark)');

  override connectedCallback(): void {
    super.connectedCallback();
    this.#resize.observe(this);
    this.#scheme.addEventListener('change', this.#redraw);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize.disconnect();
    this.#scheme.removeEventListener('change', this.#redraw);
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#drawn = '';
  }

  protected override render(): TemplateResult {
    return html`<div class="plot" role="img" aria-label="Bar chart of participant minutes by hour. The table below has the same figures."></div>`;
  }

  protected override updated(): void {
    const key: string = JSON.stringify([this.month, this.hours]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    this.#draw();
  }

  #redraw = (): void => this.#draw();

  #draw(): void {
    const box: HTMLElement | null = this.renderRoot.querySelector('.plot');
    if (!box) return;
    this.#plot?.destroy();
    const colour = (name: string): string => inColour(this, name);
    const axis = { stroke: colour('--ink-soft'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '13px system-ui, sans-serif' };
    const bars = UPlot.paths.bars?.({ size: [0.8, 26, 2], align: 1 });
    this.#plot = new UPlot(
      {
        width: this.clientWidth,
        height: this.clientHeight,
        tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1000), 'UTC'),
        legend: { show: false },
        cursor: { drag: { x: true, y: false }, points: { show: false } },
        scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } },
        axes: [{ ...axis, size: 32, values: dayLabels, space: 60 }, { ...axis, size: 54, values: (_plot, ticks) => ticks.map((tick) => String(tick)) }],
        series: [{}, { label: 'Minutes', fill: colour('--verdigris'), stroke: colour('--verdigris'), width: 0, points: { show: false }, ...(bars ? { paths: bars } : {}) }],
      },
      this.#data(),
      box,
    );
  }

  /** Every hour from the first with a call to the last, a day at least, so that a quiet hour is a gap. */
  #data(): UPlot.AlignedData {
    const minutes = new Map(this.hours.map(({ hour, participant_ms }) => [Date.parse(hour) / 1000, participant_ms / 60_000]));
    const known: readonly number[] = [...minutes.keys()].sort((a, b) => a - b);
    const start: number = Math.floor((known[0] ?? 0) / (24 * HOUR_S)) * 24 * HOUR_S;
    const end: number = Math.ceil(((known.at(-1) ?? 0) + HOUR_S) / (24 * HOUR_S)) * 24 * HOUR_S;
    const hours: number[] = [];
    for (let hour = start; hour <= end; hour += HOUR_S) hours.push(hour);
    return [hours, hours.map((hour) => minutes.get(hour) ?? null)];
  }
}

function dayLabels(_plot: UPlot, ticks: number[]): string[] {
  return ticks.map((seconds) => {
    const at = new Date(seconds * 1000);
    const midnight: boolean = at.getUTCHours() === 0;
    return midnight ? at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' }) : `${String(at.getUTCHours()).padStart(2, '0')}:00`;
  });
}

/** A canvas does not know custom properties: the browser is asked what the colour comes to. */
function inColour(element: HTMLElement, property: string): string {
  const probe: HTMLElement = document.createElement('span');
  probe.style.setProperty('color', `var(${property})`);
  element.shadowRoot?.append(probe);
  const colour: string = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

customElements.define('console-chart', ConsoleChartElement);
