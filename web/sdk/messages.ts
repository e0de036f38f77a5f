/** Messages between the people of a call, as they travel on the data channels (docs/protocol.md, "Messages"). */

/** What can be sent: bytes, or text. */
export type Body = string | Uint8Array<ArrayBuffer>;

/** What came from somebody in the call. */
export interface Received {
  /** The sender's connection. */
  readonly legId: string;
  readonly body: Body;
  /** Reliable messages before this one that a limit of the service kept from us. */
  readonly missed: number;
}

/** Bytes of a body at most; the service drops what is longer. */
export const BODY_BYTES_MAX = 16 * 1024;
/** Recipients that are named one by one at most. */
export const RECIPIENTS_MAX = 16;

const TEXT = 1;
const LEG_BYTES = 16;
const RECEIVED_HEAD_BYTES = 3 + LEG_BYTES;

/** The bytes to send, to these connections or, without any, to everybody. Throws what is beyond a limit. */
export function encode(body: Body, toLegs: readonly string[]): Uint8Array<ArrayBuffer> {
  const bytes: Uint8Array = typeof body === 'string' ? new TextEncoder().encode(body) : body;
  if (bytes.length > BODY_BYTES_MAX) throw new RangeError(`a message has at most ${BODY_BYTES_MAX} bytes`);
  if (toLegs.length > RECIPIENTS_MAX) throw new RangeError(`a message names at most ${RECIPIENTS_MAX} people`);
  const message = new Uint8Array(2 + toLegs.length * LEG_BYTES + bytes.length);
  message.set([typeof body === 'string' ? TEXT : 0, toLegs.length]);
  toLegs.forEach((leg, at) => message.set(bytesOf(leg), 2 + at * LEG_BYTES));
  message.set(bytes, 2 + toLegs.length * LEG_BYTES);
  return message;
}

/** What came, or nothing if it is none. */
export function decode(data: ArrayBuffer): Received | undefined {
  if (data.byteLength < RECEIVED_HEAD_BYTES) return undefined;
  const head = new DataView(data);
  const bytes = new Uint8Array(data, RECEIVED_HEAD_BYTES);
  const body: Body = head.getUint8(0) === TEXT ? new TextDecoder().decode(bytes) : bytes;
  return { legId: uuidOf(new Uint8Array(data, 3, LEG_BYTES)), missed: head.getUint16(1), body };
}

function bytesOf(uuid: string): number[] {
  return (uuid.replaceAll('-', '').match(/../g) ?? []).map((pair) => parseInt(pair, 16));
}

function uuidOf(bytes: Uint8Array): string {
  const hex: string = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
