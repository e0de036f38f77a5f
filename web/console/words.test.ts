import { describe, expect, test } from 'vitest';
import { bytesText, durationText, hourText, microsTyped, moneySpoken, moneyText, monthText, negative, quantityExact, rateText, together } from './words.ts';

const usd = (micros: number, amount: string) => ({ micros, currency: 'USD', amount });

describe('money is shown whole', () => {
  test.each([
    [usd(25_000_000, '0.25'), '$0.25', '25 ¢'],
    [usd(600_000, '0.006'), '$0.006', '0.6 ¢'],
    [usd(1, '0.00000001'), '$0.00000001', '0.000001 ¢'],
    [usd(0, '0.00'), '$0.00', '0 ¢'],
    [usd(-200_000, '-0.002'), '−$0.002', '−0.2 ¢'],
    [usd(123_456_789_012, '1234.56789012'), '$1,234.56789012', '$1,234.56789012'],
    [{ micros: 25_000_000, currency: 'EUR', amount: '0.25' }, '€0.25', '€0.25'],
    [{ micros: 1_500_000_000, currency: 'JPY', amount: '1500' }, 'JPY 1,500', 'JPY 1,500'],
    [{ micros: 1_500_000_000, currency: 'KWD', amount: '1.500' }, 'KWD 1.500', 'KWD 1.500'],
  ])('%j', (money, text, spoken) => {
    expect(moneyText(money)).toBe(text);
    expect(moneySpoken(money)).toBe(spoken);
  });
});

test.each([
  [usd(0, '0.00'), usd(471_985, '0.00471985'), '0.00471985'],
  [usd(33_000_000, '0.33'), usd(-365_182, '-0.00365182'), '0.32634818'],
  [usd(1_000_000_000, '10.00'), usd(0, '0.00'), '10.00'],
  [usd(100_000, '0.001'), usd(-300_000, '-0.003'), '-0.002'],
  [{ micros: 1_000_000, currency: 'JPY', amount: '1' }, { micros: 500_000, currency: 'JPY', amount: '0.5' }, '1.5'],
  [{ micros: 1_000_000, currency: 'JPY', amount: '1' }, { micros: 2_000_000, currency: 'JPY', amount: '2' }, '3'],
  [{ micros: 1_000_000, currency: 'KWD', amount: '0.001' }, { micros: 1_500_000_000, currency: 'KWD', amount: '1.500' }, '1.501'],
])('%j and %j together are %s', (a, b, amount) => expect(together(a, b).amount).toBe(amount));

test.each([
  ['5', 'USD', 500_000_000],
  [' 5.5 ', 'USD', 550_000_000],
  ['0,37', 'EUR', 37_000_000],
  ['1500', 'JPY', 1_500_000_000],
  ['1.5', 'JPY', null],
  ['1.505', 'USD', null],
  ['0', 'USD', null],
  ['-5', 'USD', null],
  ['5e3', 'USD', null],
  ['', 'USD', null],
])('%j typed in %s is %j', (text, currency, micros) => expect(microsTyped(text, currency)).toBe(micros));

test.each([
  [190_000, '19 %'],
  [55_000, '5.5 %'],
  [0, '0 %'],
])('%i millionths are %s', (millionths, text) => expect(rateText(millionths)).toBe(text));

test('the other sign', () => expect(negative(usd(-100_000, '-0.001'))).toEqual(usd(100_000, '0.001')));

test.each([
  [0, '0.0 s'],
  [12_345, '12.3 s'],
  [185_000, '3 min 05 s'],
  [3_720_000, '1 h 02 min'],
])('%i ms is %s', (ms, text) => expect(durationText(ms)).toBe(text));

test.each([
  [999, '999 B'],
  [1_250_000_000, '1.25 GB'],
  [12_300_000, '12.3 MB'],
])('%i bytes are %s', (bytes, text) => expect(bytesText(bytes)).toBe(text));

test('exact quantities keep every unit', () => expect(quantityExact(1_234_567, 'participant_ms')).toBe('1,234,567 ms'));

test('times are in UTC', () => {
  expect(monthText('2026-11-30T23:59:59Z')).toBe('November 2026');
  expect(hourText('2026-11-21T22:00:00Z')).toBe('21 Nov, 22:00 – 23:00');
});
