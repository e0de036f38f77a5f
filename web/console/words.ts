import type { Money } from './types.ts';

/** An exact amount as text: `$0.25`, `−$0.00123`. Every digit there is, never rounded. */
export function moneyText({ amount, currency }: Money): string {
  const negative: boolean = amount.startsWith('-');
  const digits: string = negative ? amount.slice(1) : amount;
  const [whole = '0', fraction] = digits.split('.');
  return `${negative ? '−' : ''}${symbolOf(currency)}${grouped(whole)}${fraction === undefined ? '' : `.${fraction}`}`;
}

/** As people say it: below one dollar in cents (`37 ¢`, `0.05 ¢`), else as `moneyText`. Exact too. */
export function moneySpoken(money: Money): string {
  const micros = BigInt(money.micros);
  const size: bigint = micros < 0n ? -micros : micros;
  if (money.currency !== 'USD' || size >= 100_000_000n) return moneyText(money);
  const fraction: string = (size % 1_000_000n).toString().padStart(6, '0').replace(/0+$/, '');
  return `${micros < 0n ? '−' : ''}${size / 1_000_000n}${fraction ? `.${fraction}` : ''} ¢`;
}

/** The amount with the other sign. */
export function negative({ micros, currency, amount }: Money): Money {
  return { micros: -micros, currency, amount: amount.startsWith('-') ? amount.slice(1) : `-${amount}` };
}

/** Two amounts of one currency together. */
export function together(a: Money, b: Money): Money {
  const micros: bigint = BigInt(a.micros) + BigInt(b.micros);
  const digits: number = minorDigits(a.currency);
  const padded: string = (micros < 0n ? -micros : micros).toString().padStart(digits + 7, '0');
  const [whole, fraction] = [padded.slice(0, -digits - 6), padded.slice(-digits - 6)];
  const kept: number = Math.max(fraction.replace(/0+$/, '').length, digits);
  const amount: string = `${micros < 0n ? '-' : ''}${whole}${kept > 0 ? `.${fraction.slice(0, kept)}` : ''}`;
  return { micros: Number(micros), currency: a.currency, amount };
}

/** What somebody typed, in micros: whole minor units, more than none. `null` if it is no such amount. */
export function microsTyped(text: string, currency: string): number | null {
  const [, whole = '', fraction = ''] = /^(\d{1,9})(?:[.,](\d+))?$/.exec(text.trim()) ?? [];
  const digits: number = minorDigits(currency);
  if (whole === '' || fraction.length > digits) return null;
  const minor = Number(whole + fraction.padEnd(digits, '0'));
  return minor > 0 ? minor * 1_000_000 : null;
}

/** A rate as people write it: `19 %`, `5.5 %`. */
export const rateText = (millionths: number): string => `${Number((millionths / 10_000).toFixed(4))} %`;

/** How many digits stand behind the point. */
export function decimalsOf({ amount }: Money): number {
  return amount.split('.')[1]?.length ?? 0;
}

/** Of the currency's minor unit (ISO 4217): 2 for cents, 0 for yen, 3 for fils. */
export function minorDigits(currency: string): number {
  return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

function symbolOf(currency: string): string {
  return { USD: '$', EUR: '€', GBP: '£' }[currency] ?? `${currency} `;
}

function grouped(whole: string): string {
  return whole.replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A duration: `1 h 02 min`, `3 min 05 s`, `12.3 s`. */
export function durationText(ms: number): string {
  const seconds: number = Math.floor(ms / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (seconds >= 3600) return `${grouped(String(Math.floor(seconds / 3600)))} h ${two(Math.floor(seconds / 60) % 60)} min`;
  if (seconds >= 60) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
}

/** Decimal units, as they are billed: 1 GB = 10⁹ bytes. */
export function bytesText(bytes: number): string {
  const units: readonly string[] = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value: number = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}

/** A metered quantity in its own unit. */
export function quantityText(quantity: number, meter: string | null): string {
  if (meter === 'participant_ms') return durationText(quantity);
  if (meter === 'egress_bytes') return bytesText(quantity);
  return grouped(String(quantity));
}

/** The same without rounding, for the tooltip. */
export function quantityExact(quantity: number, meter: string | null): string {
  const unit: string = meter === 'participant_ms' ? 'ms' : meter === 'egress_bytes' ? 'bytes' : meter === 'message_count' ? 'messages' : '';
  return `${grouped(String(quantity))} ${unit}`.trim();
}

const format = (options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat => new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', ...options });
const month = format({ month: 'long', year: 'numeric' });
const day = format({ day: 'numeric', month: 'short', year: 'numeric' });
const minute = format({ day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const second = format({ day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' });
const clock = format({ hour: '2-digit', minute: '2-digit' });

/** Times are shown in UTC, as they are billed. */
export const monthText = (at: string): string => month.format(new Date(at));
export const dayText = (at: string): string => day.format(new Date(at));
export const minuteText = (at: string): string => minute.format(new Date(at));
export const momentText = (at: string): string => `${second.format(new Date(at))} UTC`;

/** `21 Nov, 22:00 – 23:00`. */
export function hourText(at: string): string {
  const start = new Date(at);
  return `${minute.format(start)} – ${clock.format(new Date(start.getTime() + 3_600_000))}`;
}
