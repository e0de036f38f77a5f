/** The statement as the API tells it: the fields that stories read. */
export interface Money {
  readonly micros: number;
  readonly currency: string;
  readonly amount: string;
}

export interface Line {
  readonly line_id: string;
  readonly kind: string;
  readonly description: string;
  readonly meter: string | null;
  readonly quantity: number | null;
  readonly unit: string;
  /** How many of `quantity` make one `unit`. */
  readonly unit_size: number;
  readonly amount: Money;
}

export interface Statement {
  readonly statement_id: string;
  readonly number: string | number | null;
  readonly status: 'draft' | 'final';
  readonly period: { readonly start: string; readonly end: string };
  readonly lines: readonly Line[];
  readonly subtotal: Money;
  readonly carried_in: Money;
  readonly total: Money;
  readonly carried_out: Money;
  readonly tab: { readonly before: Money; readonly after: Money; readonly collect: { readonly decision: string; readonly why: string } };
}

/** A moment just past the end of the statement's month. */
export function endOfMonth({ period }: Statement): string {
  return new Date(Date.parse(period.end) + 3_600_000).toISOString();
}
