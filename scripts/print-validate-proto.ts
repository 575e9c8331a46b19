// Prints third_party/protovalidate/buf/validate/validate.proto from the descriptor inside @bufbuild/protovalidate, a
// package that ships no .proto text. Run after it is upgraded:
//
//   node scripts/print-validate-proto.ts
//
// tests/gate/third-party.test.ts compiles the result and asserts that it is the package's descriptor, byte for byte.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getExtension, hasExtension, isFieldSet } from '@bufbuild/protobuf';
import { toText } from '@bufbuild/protobuf/txtpb';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';
import {
  file_buf_validate_validate,
  PredefinedRulesSchema,
  predefined,
} from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';

const root = join(import.meta.dirname, '..');
const target = join(root, 'third_party/protovalidate/buf/validate/validate.proto');

const header = `// Copyright 2023-2026 Buf Technologies, Inc.
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
//      http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

// Printed by scripts/print-validate-proto.ts from the compiled descriptor: the comments of the original are lost.
`;

/** The largest field number, written `max` in a range; ranges of messages end one after it. */
const MAX_NUMBER = 536_870_911;

writeFileSync(target, printFile());
execFileSync(join(root, 'node_modules/.bin/buf'), ['format', '-w', target], { cwd: root, stdio: 'inherit' });

function printFile(): string {
  const { proto } = file_buf_validate_validate;
  if (proto.syntax !== '' || proto.service.length > 0 || proto.publicDependency.length > 0) {
    throw new Error('validate.proto has something this printer does not know');
  }
  const { options } = proto;
  const fileOptions: Record<string, string | boolean | undefined> = {
    go_package: options?.goPackage,
    java_multiple_files: options?.javaMultipleFiles,
    java_outer_classname: options?.javaOuterClassname,
    java_package: options?.javaPackage,
  };
  return [
    header,
    'syntax = "proto2";',
    `package ${proto.package};`,
    ...proto.dependency.map((path) => `import ${JSON.stringify(path)};`),
    ...Object.entries(fileOptions).map(([name, value]) => `option ${name} = ${JSON.stringify(value)};`),
    // In any order: a descriptor keeps each kind in a list of its own.
    ...proto.extension.map((field) => `extend ${field.extendee} { ${printField(field)} }`),
    ...proto.messageType.map(printMessage),
    ...proto.enumType.map(printEnum),
    '',
  ].join('\n');
}

function printMessage(message: DescriptorProto): string {
  if (message.nestedType.length + message.enumType.length + message.extension.length > 0 || message.options) {
    throw new Error(`${message.name} has something this printer does not know`);
  }
  // A oneof takes all its members at once, where the first of them stands.
  const members = message.field.flatMap((field, at) => {
    const oneof = oneofOf(field);
    if (oneof === undefined) return [printField(field)];
    const own = message.field.filter((other) => oneofOf(other) === oneof);
    if (message.field.indexOf(own[0] ?? field) !== at) return [];
    return [`oneof ${message.oneofDecl[oneof]?.name} {`, ...own.map((member) => printField(member, true)), '}'];
  });
  return [
    `message ${message.name} {`,
    ...printReserved(message.reservedRange, message.reservedName, -1),
    ...message.extensionRange.map((range) => `extensions ${printRange(range.start, range.end - 1)};`),
    ...members,
    '}',
  ].join('\n');
}

function printEnum(desc: EnumDescriptorProto): string {
  return [
    `enum ${desc.name} {`,
    ...printReserved(desc.reservedRange, desc.reservedName, 0),
    ...desc.value.map((value) => `${value.name} = ${value.number};`),
    '}',
  ].join('\n');
}

function printField(field: FieldDescriptorProto, inOneof = false): string {
  const label = { [Label.OPTIONAL]: 'optional ', [Label.REPEATED]: 'repeated ', [Label.REQUIRED]: 'required ' };
  const type = field.typeName || Type[field.type].toLowerCase();
  const options =
    field.options && hasExtension(field.options, predefined)
      ? ` [(predefined) = {\n${toText(PredefinedRulesSchema, getExtension(field.options, predefined))}}]`
      : '';
  return `${inOneof ? '' : label[field.label]}${type} ${field.name} = ${field.number}${options};`;
}

/** The oneof that a field belongs to. (Unset, the bare property reads 0, which is an index too.) */
function oneofOf(field: FieldDescriptorProto): number | undefined {
  return isFieldSet(field, FieldDescriptorProtoSchema.field.oneofIndex) ? field.oneofIndex : undefined;
}

/** Prints `reserved` lines; `shift` turns the stored end of a range into its last number. */
function printReserved(ranges: { start: number; end: number }[], names: string[], shift: number): string[] {
  return [
    ...ranges.map(({ start, end }) => `reserved ${printRange(start, end + shift)};`),
    ...names.map((name) => `reserved ${JSON.stringify(name)};`),
  ];
}

function printRange(first: number, last: number): string {
  if (first === last) return `${first}`;
  return `${first} to ${last >= MAX_NUMBER ? 'max' : last}`;
}
