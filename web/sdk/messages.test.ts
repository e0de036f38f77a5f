import { describe, expect, test } from 'vitest';
import { decode, encode } from './messages.ts';

const ada = '01936f2c-8b21-7d4f-8c2e-3a7a9a1b2d02';

describe('a message', () => {
  test('names its kind and its recipients', () => {
    const message = encode('hi', [ada]);
    expect([...message.subarray(0, 4)]).toEqual([1, 1, 0x01, 0x93]);
    expect([...message.subarray(16)]).toEqual([0x2d, 0x02, 104, 105]);
    expect([...encode(new Uint8Array([7]), [])]).toEqual([0, 0, 7]);
  });

  test('has limits', () => {
    expect(() => encode('x'.repeat(16 * 1024), [])).not.toThrow();
    expect(() => encode('x'.repeat(16 * 1024 + 1), [])).toThrow(RangeError);
    expect(() => encode('', Array<string>(17).fill(ada))).toThrow(RangeError);
  });

  test('is read with its sender', () => {
    const leg: readonly number[] = [...encode('', [ada]).subarray(2)];
    const text = new Uint8Array([1, 1, 2, ...leg, 104, 105]).buffer;
    expect(decode(text)).toEqual({ legId: ada, missed: 258, body: 'hi' });
    expect(decode(new Uint8Array([0, 0, 0, ...leg, 9]).buffer)).toEqual({ legId: ada, missed: 0, body: new Uint8Array([9]) });
    expect(decode(new Uint8Array(18).buffer)).toBeUndefined();
  });
});
