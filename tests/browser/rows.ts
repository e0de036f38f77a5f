/** What a bench prints: a table for people, or one JSON object a row. The Rust benches print the same (`tests/src/rows.rs`). */
export interface Row {
  readonly bench: string;
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly limit: number | null;
  readonly ratio: number | null;
  readonly aim: number | null;
  readonly met: boolean | null;
}

/** A figure that ought to be at most `aim`, if there is one. */
export function row(bench: string, name: string, value: number, unit: string, aim: number | null = null): Row {
  const rounded: number = Math.round(value * 10) / 10;
  return { bench, name, value: rounded, unit, limit: null, ratio: null, aim, met: aim === null ? null : rounded <= aim };
}

export function print(rows: readonly Row[], json: boolean): void {
  for (const each of rows) console.log(json ? JSON.stringify(each) : line(each));
}

export function median(figures: readonly number[]): number {
  const sorted: number[] = figures.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function line({ bench, name, value, unit, aim, met }: Row): string {
  const wanted: string = aim === null ? '' : `aim ≤ ${aim}`;
  const verdict: string = met === null ? '' : met ? 'met' : 'MISSED';
  return `${bench.padEnd(8)} ${name.padEnd(32)} ${value.toFixed(1).padStart(10)} ${unit.padEnd(6)} ${wanted.padEnd(12)} ${verdict}`.trimEnd();
}
