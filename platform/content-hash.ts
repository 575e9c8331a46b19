import { hash } from 'node:crypto';

/** Lower-case hexadecimal SHA-256 of a value's canonical JSON. */
export function contentHash(value: unknown): string {
  return hash('sha256', canonicalJson(value));
}

/** JSON that depends on the value alone (RFC 8785): properties in order, absent ones left out, no spaces. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  const sorted = entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([key, each]) => `${JSON.stringify(key)}:${canonicalJson(each)}`).join(',')}}`;
}
