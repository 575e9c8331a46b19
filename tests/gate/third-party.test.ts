import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { file_buf_validate_validate } from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');

it('third_party/protovalidate is what the installed protovalidate was built from, byte for byte', () => {
  const path = 'buf/validate/validate.proto';
  const ours = compile('third_party/protovalidate').find((file) => file.name === path);
  const bytes = ours && bare(ours);
  expect(bytes?.length).toBeGreaterThan(50_000);
  expect(bytes?.equals(bare(file_buf_validate_validate.proto)), 'run node scripts/print-validate-proto.ts').toBe(true);
});

it('third_party/grpc has the services as clients know them, with their licence', () => {
  const files = compile('third_party/grpc');
  expect(files.flatMap((file) => file.service.map(({ name }) => `${file.package}.${name}`)).sort()).toEqual([
    'grpc.health.v1.Health',
    'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection',
  ]);
  for (const { name } of files) {
    expect(readFileSync(join(root, 'third_party/grpc', name), 'utf8')).toContain('Apache License, Version 2.0');
  }
});

function compile(module: string): FileDescriptorProto[] {
  const dir = mkdtempSync(join(tmpdir(), 'third-party-'));
  const image = join(dir, 'image.binpb');
  try {
    const flags = ['--as-file-descriptor-set', '--exclude-source-info', '--exclude-imports'];
    execFileSync(join(root, 'node_modules/.bin/buf'), ['build', module, ...flags, '-o', image], { cwd: root });
    return fromBinary(FileDescriptorSetSchema, readFileSync(image)).file;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** A copy without JSON names, which one compiler writes out and another leaves to be derived. */
function bare(file: FileDescriptorProto): Buffer {
  const copy = fromBinary(FileDescriptorProtoSchema, toBinary(FileDescriptorProtoSchema, file));
  const fields = (message: DescriptorProto): FieldDescriptorProto[] => [
    ...message.field,
    ...message.extension,
    ...message.nestedType.flatMap(fields),
  ];
  for (const field of [...copy.extension, ...copy.messageType.flatMap(fields)]) {
    delete (field as Partial<FieldDescriptorProto>).jsonName;
  }
  return Buffer.from(toBinary(FileDescriptorProtoSchema, copy));
}
