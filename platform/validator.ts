import {
  clone,
  create,
  createFileRegistry,
  createRegistry,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescOneof,
  getOption,
  hasOption,
  isFieldSet,
  type Message,
  setExtension,
} from '@bufbuild/protobuf';
import { type ReflectMessage, reflect, usedTypes } from '@bufbuild/protobuf/reflect';
import { FeatureSet_FieldPresence, FileDescriptorProtoSchema, type Timestamp } from '@bufbuild/protobuf/wkt';
import { createValidator as createProtovalidate, type Validator, type ValidatorOptions } from '@bufbuild/protovalidate';
import {
  type FieldRules,
  FieldRulesSchema,
  field as fieldOption,
  Ignore,
  message as messageOption,
  oneof as oneofOption,
} from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';
import { matchPattern } from './match-pattern.ts';

/**
 * Validates as protovalidate does, but many times faster where no rule is broken. A message that may break one is
 * protovalidate's to judge, so whatever is said of it comes from there. The first message of a type is where its rules
 * are compiled, which takes tens of milliseconds.
 */
export function createValidator({ failFast = false }: Pick<ValidatorOptions, 'failFast'> = {}): Validator {
  const protovalidate = createProtovalidate({ regexMatch: matchPattern, failFast });
  const checks = new Map<DescMessage, (message: Message) => boolean>();

  function compile(schema: DescMessage): (message: Message) => boolean {
    // The empty message compiles protovalidate's rules too. Those that it cannot apply are for it to complain about.
    const { kind } = protovalidate.validate(schema, create(schema));
    const check = kind === 'error' ? () => false : compileCheck(schema);
    checks.set(schema, check);
    return check;
  }

  return {
    validate(schema, message) {
      const isValid = checks.get(schema) ?? compile(schema);
      if (!isValid(message)) return protovalidate.validate(schema, message);
      return { kind: 'valid', message: message as never, error: undefined, violations: undefined };
    },
  };
}

/** Whether a value keeps the rules that were compiled. */
type Check = (value: never) => boolean;

interface Compiler {
  /** protovalidate, for the rules that are not compiled. */
  readonly rest: Validator;
  /** The check of each message type, from before it is complete: a type may contain itself. */
  readonly checks: Map<DescMessage, Check>;
}

/**
 * Compiles the rules of a message type, which protovalidate must be able to apply, into a check that holds only if
 * protovalidate would find nothing. It works on a copy of the descriptor: every rule that is compiled is taken out
 * there, and messages of a type that has rules left, such as those in CEL, are shown to protovalidate under the copy.
 */
export function compileCheck(schema: DescMessage): (message: Message) => boolean {
  const compiler: Compiler = { rest: createProtovalidate({ regexMatch: matchPattern }), checks: new Map() };
  const check = compileMessage(copyOf(schema), compiler) as (message: Message) => boolean;
  return (message) => {
    try {
      return check(message);
    } catch {
      return false; // the message holds other things than its type allows
    }
  };
}

function copyOf(schema: DescMessage): DescMessage {
  const copy = createRegistry(copyFile(schema.file, new Map())).getMessage(schema.typeName);
  if (!copy) throw new Error(`no ${schema.typeName} in its own file`);
  return copy;
}

/** The copy of a file that may have rules, or needs a file that was copied. Any other file itself. */
function copyFile(file: DescFile, copies: Map<string, DescFile>): DescFile {
  const { proto, dependencies } = file;
  const known = copies.get(proto.name);
  if (known) return known;
  const copied = dependencies.filter((needed) => copyFile(needed, copies) !== needed);
  const isChanged = copied.length > 0 || proto.dependency.includes(FieldRulesSchema.file.proto.name);
  const resolve = (name: string) => copies.get(name);
  const registry = isChanged ? createFileRegistry(clone(FileDescriptorProtoSchema, proto), resolve) : undefined;
  const copy = registry?.getFile(proto.name) ?? file;
  copies.set(proto.name, copy);
  return copy;
}

function compileMessage(type: DescMessage, compiler: Compiler): Check {
  const known = compiler.checks.get(type);
  if (known) return known;
  const { typeName } = type;
  let keepsRules = always;
  const check: Check = (message: Message) => message.$typeName === typeName && keepsRules(message as never);
  compiler.checks.set(type, check);
  keepsRules = all(compileMembers(type, compiler));
  return check;
}

function compileMembers(type: DescMessage, compiler: Compiler): Check[] {
  const checks = type.fields.flatMap((field) => compileField(field, compiler));
  const required = type.oneofs.filter((oneof) => getOption(oneof, oneofOption).required);
  const left = type.fields.filter((field) => tidy(reflect(FieldRulesSchema, getOption(field, fieldOption))));
  const isLeft = left.length > 0 || hasOption(type, messageOption);
  const rest: Check = (message: Message) => compiler.rest.validate(type, message).kind === 'valid';
  return [...checks, ...required.map(isChosen), ...(isLeft ? [rest] : [])];
}

/** The checks of a field, each for the message that it is in. */
function compileField(field: DescField, compiler: Compiler): Check[] {
  const rules = getOption(field, fieldOption);
  const ignore = ignoreOf(field, rules);
  if (ignore === Ignore.ALWAYS) return [];
  const checks: Check[] = rules.required ? [(message: Message) => isFieldSet(message, field)] : [];
  const valueChecks = compileValue(field, rules, compiler);
  if (valueChecks.length > 0) checks.push(whereApplied(field, ignore, all(valueChecks)));
  tidy(reflect(FieldRulesSchema, rules));
  if (field.proto.options) setExtension(field.proto.options, fieldOption, rules);
  return checks;
}

/** A field that a message rule says may be set instead of others is not checked at its zero. */
function ignoreOf(field: DescField, rules: FieldRules): Ignore {
  if (isFieldSet(rules, FieldRulesSchema.field.ignore)) return rules.ignore;
  const { oneof } = getOption(field.parent, messageOption);
  return oneof.some(({ fields }) => fields.includes(field.name)) ? Ignore.IF_ZERO_VALUE : Ignore.UNSPECIFIED;
}

type Fields = Message & Readonly<Record<string, unknown>>;
type Oneofs = Readonly<Record<string, { readonly case: string | undefined; readonly value: unknown }>>;

/** Checks the value where protovalidate would: where it is set, and where a field without presence may be zero. */
function whereApplied(field: DescField, ignore: Ignore, check: Check): Check {
  const { localName: name, oneof } = field;
  const keepsRules = check as (value: unknown) => boolean;
  if (oneof) {
    const group = oneof.localName;
    return (message: Oneofs) => message[group]?.case !== name || keepsRules(message[group].value);
  }
  if (field.presence !== FeatureSet_FieldPresence.IMPLICIT)
    return (message: Fields) => message[name] === undefined || keepsRules(message[name]);
  if (ignore === Ignore.IF_ZERO_VALUE)
    return (message: Fields) => !isFieldSet(message, field) || keepsRules(message[name]);
  return (message: Fields) => keepsRules(message[name]);
}

function isChosen({ localName, fields }: DescOneof): Check {
  const names = new Set<string | undefined>(fields.map((field) => field.localName));
  return (message: Oneofs) => names.has(message[localName]?.case);
}

/** The checks of a field's value. */
function compileValue(field: DescField, rules: FieldRules, compiler: Compiler): Check[] {
  const { type } = rules;
  if (field.fieldKind === 'list') {
    const items = type.case === 'repeated' ? type.value.items : undefined;
    return [...take(rules, field), ...each((list: unknown[]) => list, compilePart(field, items, compiler))];
  }
  if (field.fieldKind === 'map') {
    const { keys, values } = type.case === 'map' ? type.value : {};
    const keyChecks = keys && keys.ignore === Ignore.UNSPECIFIED ? take(keys, field) : [];
    return [
      ...take(rules, field),
      ...each(Object.keys, keyChecks),
      ...each(Object.values, compilePart(field, values, compiler)),
    ];
  }
  return [...take(rules, field), ...compileChild(field, compiler)];
}

/** The checks of an item of a list, or a value of a map. */
function compilePart(field: DescField, rules: FieldRules | undefined, compiler: Compiler): Check[] {
  const isTaken = rules && rules.ignore === Ignore.UNSPECIFIED;
  return [...(isTaken ? take(rules, field) : []), ...compileChild(field, compiler)];
}

function compileChild({ message: type }: DescField, compiler: Compiler): Check[] {
  return type && hasRules(type) ? [compileMessage(type, compiler)] : [];
}

/** Whether a message, or any message in it, has rules. Also true where they were compiled already. */
function hasRules(type: DescMessage): boolean {
  const types = [type, ...usedTypes(type)].filter(({ kind }) => kind === 'message') as DescMessage[];
  return types.some(
    (each) =>
      hasOption(each, messageOption) ||
      each.oneofs.some((oneof) => hasOption(oneof, oneofOption)) ||
      each.fields.some((field) => hasOption(field, fieldOption)),
  );
}

function all([first = always, ...more]: readonly Check[]): Check {
  return more.reduce((left, right) => (value) => left(value) && right(value), first);
}

function each(partsOf: (value: never) => readonly unknown[], checks: readonly Check[]): Check[] {
  if (checks.length === 0) return [];
  const check = all(checks) as (value: unknown) => boolean;
  return [
    (value) => {
      for (const part of partsOf(value)) if (!check(part)) return false;
      return true;
    },
  ];
}

/** Compiles the rules of a value's kind that are known here, and takes them out. */
function take(rules: FieldRules, field: DescField): Check[] {
  const { case: name } = rules.type;
  const kind = name && kinds[name];
  if (!kind) return [];
  const reflected = reflect(FieldRulesSchema, rules).get(FieldRulesSchema.field[name]) as ReflectMessage;
  const checks: Check[] = [];
  for (const rule of reflected.fields) {
    const compile = reflected.isSet(rule) ? kind.rules[rule.localName] : undefined;
    const check = compile?.(reflected.get(rule) as never, field);
    if (!check) continue;
    checks.push(check);
    reflected.clear(rule);
  }
  return checks.length === 0 ? [] : [kind.accepts as Check, ...checks];
}

/** Takes out groups of rules that hold none, for which protovalidate would compile as much. Says if there are rules. */
function tidy(rules: ReflectMessage): boolean {
  for (const group of rules.fields) {
    const isGroup = group.fieldKind === 'message' && group.message.file === FieldRulesSchema.file;
    if (isGroup && rules.isSet(group) && !tidy(rules.get(group))) rules.clear(group);
  }
  const { required, ignore } = FieldRulesSchema.field;
  const isRule = (rule: DescField) => rule !== required && rule !== ignore && rules.isSet(rule);
  return rules.fields.some(isRule) || (rules.getUnknown() ?? []).length > 0;
}

/** Makes the check of a rule of this bound, unless the rule is one for protovalidate. */
type Rule = (bound: never, field: DescField) => Check | undefined;

const always: Check = () => true;

/** Sizes are 64-bit integers in rules, which are slow to compare with. */
const size =
  (rule: (bound: number) => Check): Rule =>
  (bound: bigint) =>
    rule(Number(bound));

const constant: Rule = (expected: unknown) => (value: unknown) => value === expected;

const listRules: Readonly<Record<string, Rule>> = {
  in: (listed: Iterable<unknown>) => {
    const values = [...listed];
    return (value: unknown) => values.indexOf(value) >= 0;
  },
  notIn: (listed: Iterable<unknown>) => {
    const values = [...listed];
    return (value: unknown) => values.indexOf(value) < 0;
  },
};

const stringRules: Readonly<Record<string, Rule>> = {
  const: constant,
  ...listRules,
  // Characters are code points: at most as many as UTF-16 units, and at least half as many.
  len: size((count) => (text: string) => codePoints(text) === count),
  minLen: size((min) => (text: string) => text.length >= 2 * min || codePoints(text) >= min),
  maxLen: size((max) => (text: string) => text.length <= max || codePoints(text) <= max),
  lenBytes: size((count) => (text: string) => Buffer.byteLength(text) === count),
  minBytes: size((min) => (text: string) => Buffer.byteLength(text) >= min),
  // At most three bytes of UTF-8 for each UTF-16 unit.
  maxBytes: size((max) => (text: string) => text.length * 3 <= max || Buffer.byteLength(text) <= max),
  pattern: (pattern: string) => (text: string) => matchPattern(pattern, text),
  prefix: (prefix: string) => (text: string) => text.startsWith(prefix),
  suffix: (suffix: string) => (text: string) => text.endsWith(suffix),
  contains: (part: string) => (text: string) => text.includes(part),
  notContains: (part: string) => (text: string) => !text.includes(part),
  uuid: (isOn: boolean) => (isOn ? (text: string) => uuid.test(text) : always),
};

const uuid = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

const bytesRules: Readonly<Record<string, Rule>> = {
  len: size((count) => (bytes: Uint8Array) => bytes.length === count),
  minLen: size((min) => (bytes: Uint8Array) => bytes.length >= min),
  maxLen: size((max) => (bytes: Uint8Array) => bytes.length <= max),
};

/** Of 32 bits, 64 bits and floating point; NaN keeps no bound. */
const numberRules: Readonly<Record<string, Rule>> = {
  const: constant,
  ...listRules,
  gt: (low: number) => (value: number) => value > low,
  gte: (low: number) => (value: number) => value >= low,
  lt: (high: number) => (value: number) => value < high,
  lte: (high: number) => (value: number) => value <= high,
  finite: (isOn: boolean) => (isOn ? Number.isFinite : always),
};

const enumRules: Readonly<Record<string, Rule>> = {
  const: constant,
  ...listRules,
  definedOnly: (isOn: boolean, { enum: type }) => {
    const numbers = new Set(type?.values.map(({ number }) => number));
    return isOn ? (value: number) => numbers.has(value) : always;
  },
};

interface TimestampBound {
  readonly message: Timestamp;
}

const timestampRules: Readonly<Record<string, Rule>> = {
  const: (bound: TimestampBound) => (time: Timestamp) => compare(time, bound) === 0,
  gt: (low: TimestampBound) => (time: Timestamp) => compare(time, low) > 0,
  gte: (low: TimestampBound) => (time: Timestamp) => compare(time, low) >= 0,
  lt: (high: TimestampBound) => (time: Timestamp) => compare(time, high) < 0,
  lte: (high: TimestampBound) => (time: Timestamp) => compare(time, high) <= 0,
};

function compare(time: Timestamp, { message: bound }: TimestampBound): number {
  if (time.seconds === bound.seconds) return time.nanos - bound.nanos;
  return time.seconds < bound.seconds ? -1 : 1;
}

const repeatedRules: Readonly<Record<string, Rule>> = {
  minItems: size((min) => (list: unknown[]) => list.length >= min),
  maxItems: size((max) => (list: unknown[]) => list.length <= max),
};

const mapRules: Readonly<Record<string, Rule>> = {
  minPairs: size((min) => (map: object) => Object.keys(map).length >= min),
  maxPairs: size((max) => (map: object) => Object.keys(map).length <= max),
};

/** What is compiled of the rules for one kind of value, and which values those checks can be asked about. */
interface Kind {
  readonly accepts: (value: unknown) => boolean;
  readonly rules: Readonly<Record<string, Rule>>;
}

const is = (type: string) => (value: unknown) => typeof value === type;
const numbers: Kind = { accepts: is('number'), rules: numberRules };
const bigints: Kind = { accepts: is('bigint'), rules: numberRules };

const kinds: Readonly<Partial<Record<NonNullable<FieldRules['type']['case']>, Kind>>> = {
  float: numbers,
  double: numbers,
  int32: numbers,
  int64: bigints,
  uint32: numbers,
  uint64: bigints,
  sint32: numbers,
  sint64: bigints,
  fixed32: numbers,
  fixed64: bigints,
  sfixed32: numbers,
  sfixed64: bigints,
  bool: { accepts: is('boolean'), rules: { const: constant } },
  string: { accepts: is('string'), rules: stringRules },
  bytes: { accepts: (value) => value instanceof Uint8Array, rules: bytesRules },
  enum: { accepts: is('number'), rules: enumRules },
  repeated: { accepts: Array.isArray, rules: repeatedRules },
  map: { accepts: is('object'), rules: mapRules },
  timestamp: { accepts: is('object'), rules: timestampRules },
};
