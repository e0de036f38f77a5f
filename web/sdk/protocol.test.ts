import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readClientFrame, readServerEvent, readServerFrame } from './protocol.ts';

const folder = new URL('../../tests/fixtures/protocol/', import.meta.url);
const names: readonly string[] = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
const fixture = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

/** What is read back, with the body of a server's event unwrapped. */
function read(name: string): unknown {
  if (name.startsWith('client_')) return readClientFrame(fixture(name));
  const frame = readServerFrame(fixture(name));
  return frame?.type === 'event' ? { ...frame, body: readServerEvent(frame.body) } : frame;
}

describe('golden messages', () => {
  test('are there', () => expect(names.length).toBeGreaterThan(20));

  test.each(names)('%s is read whole', (name) => {
    expect(read(name)).toEqual(JSON.parse(fixture(name)));
  });
});

describe('a frame that is none', () => {
  test.each([
    ['not JSON', '{'],
    ['null', 'null'],
    ['no type', '{"seq":1}'],
    ['a type of another protocol', '{"type":"offer"}'],
    ['an inherited name as type', '{"type":"constructor"}'],
    ['a number that is none', '{"type":"ack","seq":"1"}'],
    ['a negative number', '{"type":"ack","seq":-1}'],
    ['a missing field', '{"type":"refused","code":"room_full"}'],
  ])('%s is refused', (_name, json) => expect(readServerFrame(json)).toBeUndefined());
});

test('an event of a newer hub keeps its number, and its body is unknown', () => {
  const frame = readServerFrame('{"type":"event","seq":7,"body":{"type":"fireworks"}}');
  expect(frame).toMatchObject({ type: 'event', seq: 7 });
  expect(frame?.type === 'event' && readServerEvent(frame.body)).toBeUndefined();
});
