// Arrays as parameters of a statement, in the form that is cheapest to make, to send and to read: what is short as text
// goes as text, ids and bytes in binary form. The client library's own way costs several times as much.

/** What the client library sends as it is: a text as text, a buffer in binary form. */
export type ArrayParameter = string | Buffer;

/** Of numbers, or of texts that need no quotes. */
export function plainArray(values: readonly (string | number | null)[]): ArrayParameter {
  return `{${values.map((value) => value ?? 'NULL').join(',')}}`;
}

/** Of any texts. */
export function textArray(values: readonly (string | null)[]): ArrayParameter {
  return `{${values.map((value) => (value === null ? 'NULL' : quoted(value))).join(',')}}`;
}

const quoted = (text: string): string => `"${/["\\]/.test(text) ? text.replace(/["\\]/g, '\\$&') : text}"`;

const headerBytes = 20;
const uuidBytes = 16;

/** Throws on what is no UUID. */
export function uuidArray(values: readonly (string | null)[]): ArrayParameter {
  const size = values.reduce((sum, value) => sum + 4 + (value === null ? 0 : uuidBytes), headerBytes);
  const array = Buffer.allocUnsafe(size);
  let at = writeHeader(array, { oid: 2950, length: values.length, hasNull: values.includes(null) });
  for (const value of values) {
    at = array.writeInt32BE(value === null ? -1 : uuidBytes, at);
    if (value === null) continue;
    const digits = value.replaceAll('-', '');
    if (value.length !== 36 || digits.length !== 2 * uuidBytes || array.write(digits, at, 'hex') !== uuidBytes)
      throw new TypeError('not a UUID');
    at += uuidBytes;
  }
  return array;
}

/** Of `bytea`. */
export function bytesArray(values: readonly Uint8Array[]): ArrayParameter {
  const array = Buffer.allocUnsafe(values.reduce((sum, { length }) => sum + 4 + length, headerBytes));
  let at = writeHeader(array, { oid: 17, length: values.length, hasNull: false });
  for (const value of values) {
    at = array.writeInt32BE(value.length, at);
    array.set(value, at);
    at += value.length;
  }
  return array;
}

interface Header {
  /** Of the elements' type. */
  readonly oid: number;
  readonly length: number;
  readonly hasNull: boolean;
}

/** Of an array of one dimension, counted from 1, as `array_recv` of Postgres reads it. Returns where its elements begin. */
function writeHeader(array: Buffer, { oid, length, hasNull }: Header): number {
  return [1, hasNull ? 1 : 0, oid, length, 1].reduce((at, word) => array.writeInt32BE(word, at), 0);
}
