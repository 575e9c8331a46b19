import { createHash, randomFillSync } from 'node:crypto';

/** A new UUID, version 7 (RFC 9562): ordered by time, so that rows keyed by it are stored side by side. */
export function newId(nowMs: number): string {
  const bytes = random16();
  bytes.writeUIntBE(nowMs, 0, 6);
  return toUuid(bytes, 7);
}

/** Random bytes for many ids: asking the system for those of one takes longer than making it. */
const pool = Buffer.alloc(16 * 256);
let poolAt = pool.length;

function random16(): Buffer {
  if (poolAt === pool.length) {
    randomFillSync(pool);
    poolAt = 0;
  }
  const bytes = pool.subarray(poolAt, poolAt + 16); // each is used once, so it need not be a copy
  poolAt += 16;
  return bytes;
}

/**
 * The UUID (version 8) that `scope` derives from another UUID: always the same, and different for every scope. Keeps the
 * first 48 bits, so what derives from a version 7 id is ordered by time as well.
 */
export function derivedId(scope: string, uuid: string): string {
  const bytes = createHash('sha256').update(scope).update('\0').update(uuid.toLowerCase()).digest().subarray(0, 16);
  Buffer.from(uuid.replaceAll('-', ''), 'hex').copy(bytes, 0, 0, 6);
  return toUuid(bytes, 8);
}

/** The UUID (version 8) of what happened at an instant under a name: always the same, and ordered by time. */
export function idAt(instantMs: number, name: string): string {
  const bytes = createHash('sha256').update(name).digest().subarray(0, 16);
  bytes.writeUIntBE(instantMs, 0, 6);
  return toUuid(bytes, 8);
}

/** The UUID (version 8) of a name: always the same. */
export function namedId(name: string): string {
  return toUuid(createHash('sha256').update(name).digest().subarray(0, 16), 8);
}

/** Writes version and variant into 16 bytes and prints them. */
function toUuid(bytes: Buffer, version: number): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | (version << 4);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
