import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const page: string = read('../docs-problems.html');
const snake = (name: string): string => name.replace(/(?<!^)([A-Z])/g, '_$1').toLowerCase();

describe('every code that the service may send is explained at its anchor', () => {
  const http: readonly string[] = [...read('../../signaling/src/problem.rs').matchAll(/^ {4}\w+ "(\w+)" [A-Z_]+ "/gm)].map(([, code = '']) => code);
  const refusals: string = /pub enum RefusalCode \{([\s\S]*?)\n\}/.exec(read('../../signaling/src/protocol.rs'))?.[1] ?? '';
  const call: readonly string[] = [...refusals.matchAll(/^ {4}(\w+),/gm)].map(([, name = '']) => `call-${snake(name)}`);

  test('there are some', () => expect(Math.min(http.length, call.length)).toBeGreaterThan(10));
  test.each([...http, ...call])('%s', (code) => expect(page).toContain(`id="${code}"`));
});
