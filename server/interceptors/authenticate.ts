import { hash, timingSafeEqual } from 'node:crypto';
import { createContextKey } from '@connectrpc/connect';
import { permissionDenied, unauthenticated } from '../../platform/errors.ts';

export const permissions = ['serve', 'admin'] as const;
export type Permission = (typeof permissions)[number];

/** A key that a client may present. The key itself is not kept, only its SHA-256. */
export interface AuthKey {
  readonly name: string;
  readonly hash: Buffer;
  readonly permissions: readonly Permission[];
}

/** Who calls. */
export interface Caller {
  readonly name: string;
  readonly permissions: readonly Permission[];
}

/** Where handlers find the caller: `context.values.get(callerKey)`. */
export const callerKey = createContextKey<Caller>({ name: 'anonymous', permissions: [] });

/**
 * Says who calls a service, given the request's `authorization` header. Throws `unauthenticated` or
 * `permission_denied`. Runs before the body is read.
 */
export type Authenticate = (service: string, authorization: string | undefined) => Caller;

const anyone: Caller = { name: 'anonymous', permissions: [] };
const trusted: Caller = { name: 'anonymous', permissions };

/** Without keys everybody may do everything; the server then serves loopback only. */
export function createAuthenticate(keys: readonly AuthKey[]): Authenticate {
  if (keys.length === 0) return () => trusted;
  return (service, authorization) => {
    const needed = permissionsFor(service);
    if (needed === 'none') return anyone;
    const caller = findKey(keys, authorization);
    if (!needed.some((permission) => caller.permissions.includes(permission))) {
      const permission = needed.join(' or ');
      throw permissionDenied('PERMISSION_MISSING', `this needs the permission ${permission}`, {
        metadata: { permission },
      });
    }
    return caller;
  };
}

/** Any of these permissions opens a service. Throws for a service that has no rule yet, so that none is left open. */
export function permissionsFor(service: string): readonly Permission[] | 'none' {
  if (service === 'grpc.health.v1.Health') return 'none';
  if (service.startsWith('grpc.reflection.')) return permissions;
  if (service.startsWith('oo.serving.')) return ['serve'];
  if (service.startsWith('oo.admin.')) return ['admin'];
  throw new Error(`no permission is defined for the service ${service}`);
}

/** Compares with every key, in a time that tells nothing of any. */
function findKey(keys: readonly AuthKey[], authorization: string | undefined): AuthKey {
  const presented = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (presented === undefined) {
    throw unauthenticated('KEY_MISSING', 'send the header "authorization: Bearer <key>"');
  }
  const digest = hash('sha256', presented, 'buffer');
  let found: AuthKey | undefined;
  for (const key of keys) {
    if (timingSafeEqual(key.hash, digest)) found = key;
  }
  if (found === undefined) throw unauthenticated('KEY_UNKNOWN', 'the key is not known');
  return found;
}

/**
 * Reads a key file: a line per key, `<name> <sha256 of the key, in hex> <permission>[,<permission>]`; empty lines and
 * what follows a `#` are skipped. Throws an error that lists all problems by line; a file without keys is one, since it
 * would open the server to everybody.
 */
export function parseAuthKeys(text: string): readonly AuthKey[] {
  const problems: string[] = [];
  const keys: AuthKey[] = [];
  const lineOf = new Map<string, number>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const words = line
      .replace(/#.*/, '')
      .split(/\s+/)
      .filter((word) => word !== '');
    if (words.length === 0) continue;
    const [name = '', hex = '', list = ''] = words;
    const found = words.length === 3 ? problemsOf(name, hex, list) : [`must be ${lineFormat}`];
    for (const word of [`name ${name}`, `hash ${hex.toLowerCase()}`]) {
      const first = lineOf.get(word);
      if (first !== undefined) found.push(`repeats the ${word.slice(0, 4)} of line ${first}`);
      else lineOf.set(word, index + 1);
    }
    problems.push(...found.map((problem) => `line ${index + 1}: ${problem}`));
    keys.push({ name, hash: Buffer.from(hex, 'hex'), permissions: list.split(',').filter(isPermission) });
  }
  if (keys.length === 0) problems.push('no line holds a key');
  if (problems.length > 0) throw new Error(`bad auth keys:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  return keys;
}

const lineFormat = '<name> <sha256 of the key in hex> <permission>[,<permission>]';
const emptyHash = hash('sha256', '');

// The values themselves are not repeated: somebody may have put the key where its hash belongs.
function problemsOf(name: string, hex: string, list: string): string[] {
  const problems: string[] = [];
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) problems.push('the name must be 1 to 64 of A-Z a-z 0-9 . _ -');
  if (!/^[0-9a-fA-F]{64}$/.test(hex)) problems.push('the hash must be 64 hexadecimal digits');
  if (hex.toLowerCase() === emptyHash) problems.push('the hash is that of an empty key');
  if (!list.split(',').every(isPermission)) problems.push(`permissions are ${permissions.join(', ')}`);
  return problems;
}

function isPermission(word: string): word is Permission {
  return permissions.some((permission) => permission === word);
}
