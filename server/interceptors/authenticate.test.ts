import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { DomainError } from '../../platform/errors.ts';
import { createAuthenticate, parseAuthKeys, permissionsFor } from './authenticate.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const hash = sha256('secret');
const other = sha256('other');

describe('a key file', () => {
  test('is read', () => {
    const text = `# who may call\n\nrecommender ${hash} serve # until spring\r\n  ops.1\t${other.toUpperCase()}  serve,admin  \n`;
    expect(parseAuthKeys(text)).toEqual([
      { name: 'recommender', hash: Buffer.from(hash, 'hex'), permissions: ['serve'] },
      { name: 'ops.1', hash: Buffer.from(other, 'hex'), permissions: ['serve', 'admin'] },
    ]);
  });

  test.each([
    ['', ['no line holds a key']],
    ['# nobody\n', ['no line holds a key']],
    [`a ${hash}`, ['line 1: must be <name> <sha256 of the key in hex> <permission>[,<permission>]']],
    [`a ${hash} serve admin`, ['line 1: must be <name>']],
    [`a/b ${hash} serve`, ['line 1: the name must be']],
    [`${'a'.repeat(65)} ${hash} serve`, ['line 1: the name must be']],
    ['a my-secret-key serve', ['line 1: the hash must be 64 hexadecimal digits']],
    [`a ${hash}0 serve`, ['line 1: the hash must be 64 hexadecimal digits']],
    [`a ${sha256('')} serve`, ['line 1: the hash is that of an empty key']],
    [`a ${hash} root`, ['line 1: permissions are serve, admin']],
    [`a ${hash} serve,`, ['line 1: permissions are serve, admin']],
    [`a ${hash} Serve`, ['line 1: permissions are serve, admin']],
    [`a ${hash} serve\na ${other} serve`, ['line 2: repeats the name of line 1']],
    [`a ${hash} serve\nb ${hash.toUpperCase()} admin`, ['line 2: repeats the hash of line 1']],
    [`a x y\n\nb ${hash}`, ['line 1: the hash must', 'line 1: permissions are', 'line 3: must be <name>']],
  ])('is refused with all its problems: %j', (text, problems) => {
    let message = '';
    try {
      parseAuthKeys(text);
    } catch (error) {
      message = String(error);
    }
    const [title, ...lines] = message.split('\n');
    expect(title).toBe('Error: bad auth keys:');
    expect(lines.map((line, i) => line.trim().slice(0, problems[i]?.length))).toEqual(problems);
    expect(message).not.toContain('my-secret-key');
  });
});

describe('a caller', () => {
  const authenticate = createAuthenticate(parseAuthKeys(`recommender ${hash} serve\noperator ${other} serve,admin`));

  test.each([
    ['oo.serving.v1.ServingService', 'Bearer secret', 'recommender'],
    ['oo.serving.v1.ServingService', 'bearer   secret', 'recommender'],
    ['oo.serving.v1.ServingService', 'Bearer other', 'operator'],
    ['oo.admin.v1.AdminService', 'Bearer other', 'operator'],
    ['grpc.reflection.v1.ServerReflection', 'Bearer secret', 'recommender'],
    ['grpc.reflection.v1alpha.ServerReflection', 'Bearer other', 'operator'],
    ['grpc.health.v1.Health', undefined, 'anonymous'],
    ['grpc.health.v1.Health', 'Bearer guess', 'anonymous'],
  ])('of %s with %s is %s', (service, authorization, name) => {
    expect(authenticate(service, authorization).name).toBe(name);
  });

  test.each([
    ['oo.serving.v1.ServingService', undefined, 'KEY_MISSING'],
    ['oo.serving.v1.ServingService', '', 'KEY_MISSING'],
    ['oo.serving.v1.ServingService', 'secret', 'KEY_MISSING'],
    ['oo.serving.v1.ServingService', 'Basic secret', 'KEY_MISSING'],
    ['oo.serving.v1.ServingService', 'Bearer', 'KEY_MISSING'],
    ['oo.serving.v1.ServingService', 'Bearer secret secret', 'KEY_MISSING'],
    ['oo.serving.v1.ServingService', 'Bearer secre', 'KEY_UNKNOWN'],
    ['oo.serving.v1.ServingService', `Bearer ${hash}`, 'KEY_UNKNOWN'],
    ['oo.admin.v1.AdminService', 'Bearer secret', 'PERMISSION_MISSING'],
    ['grpc.reflection.v1.ServerReflection', undefined, 'KEY_MISSING'],
  ])('of %s with %s is refused: %s', (service, authorization, reason) => {
    expect(() => authenticate(service, authorization)).toThrow(expect.objectContaining({ reason }));
    expect(() => authenticate(service, authorization)).toThrow(DomainError);
  });

  test.each(['oo.other.v1.OtherService', 'grpc.health.v1.HealthOfOthers', 'evil.oo.serving.v1.X'])(
    'of %s is not known to anybody',
    (service) => expect(() => permissionsFor(service)).toThrow(`no permission is defined for the service ${service}`),
  );

  test('may do everything where there are no keys', () => {
    expect(createAuthenticate([])('oo.admin.v1.AdminService', undefined)).toEqual({
      name: 'anonymous',
      permissions: ['serve', 'admin'],
    });
  });
});
