// A buf plugin: writes what the contract's own options say as plain data, `gen/proto/oo/contract.ts`, so that pure code
// can use it without any protobuf runtime: which subject carries which payload, what each profile feature is, and the names of
// the enum values as people and tables write them.
import {
  type DescExtension,
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type Message,
} from '@bufbuild/protobuf';
import { createEcmaScriptPlugin, runNodeJs, type Schema } from '@bufbuild/protoplugin';

type SubjectOptions = Message & { readonly subject: string; readonly alsoAccepted: readonly string[] };
type FeatureOptions = Message & {
  readonly description: string;
  readonly ttl?: { readonly seconds: bigint };
  readonly nullFallback: number;
  readonly invalidatedBy: readonly string[];
};

runNodeJs(createEcmaScriptPlugin({ name: 'protoc-gen-oo', version: 'v1', generateTs }));

function generateTs(schema: Schema): void {
  const envelope = findMessage(schema, 'oo.events.v1.Envelope');
  const profile = findMessage(schema, 'oo.features.v1.ProfileFeatures');
  const person = findMessage(schema, 'oo.features.v1.PersonFeatures');
  if (!envelope || !profile || !person || !schema.files.includes(envelope.file)) return; // another input of the same run

  const file = schema.generateFile('oo/contract.ts');
  file.preamble(envelope.file);
  file.print('/** Where each payload of an envelope travels, by its name in the `payload` oneof. */');
  file.print('export const subjects = {');
  for (const field of envelope.fields.filter((f) => f.oneof?.name === 'payload')) {
    const { subject, alsoAccepted } = subjectOf(schema, field);
    const data = { message: field.message?.typeName, stream: subject.split('.')[0], subject, alsoAccepted };
    file.print('  ', field.localName, ': ', literal(data), ',');
  }
  file.print('} as const;');
  file.print();
  file.print('/** The registry of profile features: `property` in messages, `name` everywhere else. */');
  file.print('export const profileFeatures = [');
  for (const field of profile.fields) file.print('  ', literal(featureOf(schema, field)), ',');
  file.print('] as const;');
  file.print();
  file.print('/** The registry of what else is known of a person. */');
  file.print('export const personFeatures = [');
  for (const field of person.fields) file.print('  ', literal(featureOf(schema, field)), ',');
  file.print('] as const;');
  for (const desc of schema.files.flatMap((each) => each.enums)) {
    const values = desc.values.filter(({ number }) => number !== 0);
    const nameOf = ({ localName }: { localName: string }) => JSON.stringify(localName.toLowerCase());
    file.print();
    file.print('/** Names of `', desc.typeName, '`, by number. Zero (unspecified) has none. */');
    file.print('export type ', desc.name, 'Name = ', values.map(nameOf).join(' | '), ';');
    file.print('export const namesOf', desc.name, ': Readonly<Record<number, ', desc.name, 'Name>> = {');
    for (const value of values) file.print('  ', value.number, ': ', nameOf(value), ',');
    file.print('};');
  }
}

function subjectOf(schema: Schema, field: DescField): SubjectOptions {
  const extension = findExtension(schema, 'oo.options.v1.subject');
  if (!field.message || !hasOption(field.message, extension)) {
    throw new Error(`${field.toString()}: its message has no option (oo.options.v1.subject)`);
  }
  return getOption(field.message, extension) as SubjectOptions;
}

function featureOf(schema: Schema, field: DescField) {
  const extension = findExtension(schema, 'oo.options.v1.feature');
  if (!hasOption(field, extension)) throw new Error(`${field.toString()} has no option (oo.options.v1.feature)`);
  const { description, ttl, nullFallback, invalidatedBy } = getOption(field, extension) as FeatureOptions;
  return {
    name: field.name,
    property: field.localName,
    description,
    ttlMs: Number(ttl?.seconds ?? 0n) * 1000,
    nullFallback,
    invalidatedBy,
  };
}

function findMessage(schema: Schema, typeName: string): DescMessage | undefined {
  return schema.allFiles.flatMap((file) => file.messages).find((message) => message.typeName === typeName);
}

function findExtension(schema: Schema, typeName: string): DescExtension {
  const found = schema.allFiles.flatMap((file) => file.extensions).find((extension) => extension.typeName === typeName);
  if (!found) throw new Error(`the contract does not define the option ${typeName}`);
  return found;
}

function literal(value: object): string {
  return JSON.stringify(value, null, 1).replace(/\n\s*/g, ' ');
}
