import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { create, createFileRegistry, fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Code, createClient } from '@connectrpc/connect';
import { createWritableIterable } from '@connectrpc/connect/protocol';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { describe, expect, test } from 'vitest';
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from '../../gen/proto/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ServerReflectionAlpha } from '../../gen/proto/grpc/reflection/v1alpha/reflection_pb.ts';
import { parseAuthKeys } from '../interceptors/authenticate.ts';
import { scoreRequest, startServer } from '../server.fixture.ts';

const run = promisify(execFile);

async function bufCurl(...args: string[]) {
  const { stdout } = await run('node_modules/.bin/buf', ['curl', '--http2-prior-knowledge', ...args]);
  return stdout;
}

describe.each(['grpc-v1', 'grpc-v1alpha'])('buf curl with reflection %s', (version) => {
  const reflect = ['--reflect-protocol', version];

  test('finds all services', async () => {
    await using toy = await startServer();
    expect((await bufCurl(...reflect, '--list-services', toy.url)).trim().split('\n')).toEqual([
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
      'oo.admin.v1.AdminService',
      'oo.serving.v1.ServingService',
    ]);
  });

  test.each(['grpc', 'grpcweb', 'connect'])('calls Score over %s without proto files', async (protocol) => {
    await using toy = await startServer();
    const url = `${toy.url}/oo.serving.v1.ServingService/Score`;
    const args = [...reflect, '--protocol', protocol];
    const candidates = [{ id: 'a', kind: 'TIP_KIND_TASK', source: 'TIP_SOURCE_LLM', features: { priority: 3 } }];
    const { requestId } = scoreRequest();
    const answer = await bufCurl(...args, '-d', JSON.stringify({ requestId, userId: 'u', candidates }), url);
    expect(JSON.parse(answer)).toEqual({ decisionId: requestId, tipId: 'a' });

    const refusal = bufCurl(...args, '-d', JSON.stringify({ requestId, userId: 'u' }), url);
    await expect(refusal).rejects.toMatchObject({
      code: 8 * Code.InvalidArgument,
      stderr: expect.stringContaining('candidates: must contain at least 1 item(s)'),
    });
  });
});

type Asked = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>['messageRequest']>;

describe.each([
  ['v1', ServerReflection],
  ['v1alpha', ServerReflectionAlpha],
] as const)('reflection %s', (_, service) => {
  async function ask(url: string, messageRequest?: Asked) {
    const requests = createWritableIterable<MessageInitShape<typeof ServerReflectionRequestSchema>>();
    const client = createClient(service as typeof ServerReflection, createGrpcTransport({ baseUrl: url }));
    const responses = client.serverReflectionInfo(requests)[Symbol.asyncIterator]();
    void requests.write({ host: 'me', ...(messageRequest && { messageRequest }) });
    const { value } = await responses.next();
    requests.close();
    await responses.next();
    return (value as ServerReflectionResponse | undefined)?.messageResponse;
  }

  test.each([
    ['fileContainingSymbol', 'oo.serving.v1.ServingService', 'oo/serving/v1/serving.proto'],
    ['fileContainingSymbol', 'oo.serving.v1.ServingService.Score', 'oo/serving/v1/serving.proto'],
    ['fileContainingSymbol', 'oo.serving.v1.TipFeatures', 'oo/serving/v1/candidate.proto'],
    ['fileContainingSymbol', 'oo.serving.v1.TipFeatures.priority', 'oo/serving/v1/candidate.proto'],
    ['fileContainingSymbol', 'oo.serving.v1.Signal.detail', 'oo/serving/v1/context.proto'],
    ['fileContainingSymbol', 'oo.events.v1.TipKind', 'oo/events/v1/tip.proto'],
    ['fileContainingSymbol', 'oo.events.v1.TIP_KIND_TASK', 'oo/events/v1/tip.proto'],
    ['fileContainingSymbol', 'buf.validate.field', 'buf/validate/validate.proto'],
    ['fileContainingSymbol', 'google.protobuf.Timestamp', 'google/protobuf/timestamp.proto'],
    ['fileContainingSymbol', 'google.rpc.BadRequest', 'google/rpc/error_details.proto'],
    ['fileByFilename', 'google/protobuf/descriptor.proto', 'google/protobuf/descriptor.proto'],
    ['fileByFilename', 'oo/features/v1/features.proto', 'oo/features/v1/features.proto'],
  ] as const)('%s %s is in %s, which comes first and with all it imports', async (kind, value, name) => {
    await using toy = await startServer();
    const answer = await ask(toy.url, { case: kind, value });
    if (answer?.case !== 'fileDescriptorResponse') throw new Error(`got ${JSON.stringify(answer)}`);
    const files = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    expect(files[0]?.name).toBe(name);
    const names = files.map((file) => file.name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(expect.arrayContaining(files.flatMap((file) => file.dependency)));
  });

  test('the files it gives rebuild the contract, options and rules included', async () => {
    await using toy = await startServer();
    const answer = await ask(toy.url, { case: 'fileContainingSymbol', value: 'oo.serving.v1.ServingService' });
    if (answer?.case !== 'fileDescriptorResponse') throw new Error('no files');
    const files = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: importsFirst(files) }));
    expect(registry.getService('oo.serving.v1.ServingService')?.methods.map(({ name }) => name)).toContain('Score');
    const options = registry.getMessage('oo.serving.v1.ScoreRequest')?.field.userId?.proto.options;
    expect(options?.$unknown?.length).toBeGreaterThan(0);
  });

  test.each([
    [{ case: 'fileContainingSymbol', value: 'oo.serving.v1.Nothing' }, Code.NotFound],
    [{ case: 'fileContainingSymbol', value: '' }, Code.NotFound],
    [{ case: 'fileByFilename', value: '../../etc/passwd' }, Code.NotFound],
    [{ case: 'fileContainingExtension', value: { containingType: 'a.B', extensionNumber: 1 } }, Code.NotFound],
    [{ case: 'allExtensionNumbersOfType', value: 'a.B' }, Code.NotFound],
    [undefined, Code.InvalidArgument],
  ] as const)('%j is not known', async (messageRequest, errorCode) => {
    await using toy = await startServer();
    expect(await ask(toy.url, messageRequest)).toMatchObject({
      case: 'errorResponse',
      value: { errorCode },
    });
  });

  test('knows extensions', async () => {
    await using toy = await startServer();
    const containingType = 'google.protobuf.FieldOptions';
    expect(await ask(toy.url, { case: 'allExtensionNumbersOfType', value: containingType })).toMatchObject({
      value: { baseTypeName: containingType, extensionNumber: expect.arrayContaining([1159, 50002]) },
    });
    const value = { containingType, extensionNumber: 50002 };
    expect(await ask(toy.url, { case: 'fileContainingExtension', value })).toMatchObject({
      case: 'fileDescriptorResponse',
    });
  });
});

test('is closed to callers without a key, and open to any key', async () => {
  const hash = createHash('sha256').update('key').digest('hex');
  await using toy = await startServer({ authKeys: parseAuthKeys(`a ${hash} admin`) });
  const list = (...args: string[]) => bufCurl(...args, '--list-services', toy.url);
  await expect(list()).rejects.toMatchObject({ stderr: expect.stringContaining('not authenticated') });
  expect(await list('--reflect-header', 'authorization: Bearer key')).toContain('oo.serving.v1.ServingService');
});

/** The order in which files can be put together. */
function importsFirst(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const add = (file: FileDescriptorProto | undefined) => {
    if (file === undefined || ordered.has(file)) return;
    for (const name of file.dependency) add(files.find((other) => other.name === name));
    ordered.add(file);
  };
  files.forEach(add);
  return [...ordered];
}
