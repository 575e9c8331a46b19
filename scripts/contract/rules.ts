import { getExtension, hasExtension } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import type {
  Duration,
  FieldMask,
  FieldOptions,
  MessageOptions,
  OneofOptions,
  Timestamp,
} from '@bufbuild/protobuf/wkt';
import {
  FieldRulesSchema,
  field as fieldOption,
  Ignore,
  type MessageOneofRule,
  MessageRulesSchema,
  message as messageOption,
  OneofRulesSchema,
  oneof as oneofOption,
  PredefinedRulesSchema,
  predefined as predefinedOption,
  type Rule,
} from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';
import type { Element } from './contract.ts';

export type RuleValue = string | number | bigint | boolean;

/** Rules of one kind by name, `max_len` → 64n. CEL expressions stand under their ids, as `cel[id]`. */
export type RuleGroup = Map<string, RuleValue | RuleValue[]>;

/** Groups of rules by where they stand: `string.`, `repeated.items.string.`, or the empty string for `required`. */
export type Rules = Map<string, RuleGroup>;

/** The protovalidate rules written on an element. */
export function rulesOf({ kind, options }: Element): Rules {
  const rules: Rules = new Map();
  if (!options) return rules;
  if (kind === 'message' && hasExtension(options as MessageOptions, messageOption)) {
    collect(reflect(MessageRulesSchema, getExtension(options as MessageOptions, messageOption)), '', rules);
  }
  if (kind === 'oneof' && hasExtension(options as OneofOptions, oneofOption)) {
    collect(reflect(OneofRulesSchema, getExtension(options as OneofOptions, oneofOption)), '', rules);
  }
  if (kind === 'field' || kind === 'extension') {
    if (hasExtension(options as FieldOptions, fieldOption)) {
      collect(reflect(FieldRulesSchema, getExtension(options as FieldOptions, fieldOption)), '', rules);
    }
    // A rule of our own making, in force wherever a field uses it.
    if (hasExtension(options as FieldOptions, predefinedOption)) {
      const value = getExtension(options as FieldOptions, predefinedOption);
      collect(reflect(PredefinedRulesSchema, value), 'predefined.', rules);
    }
  }
  return rules;
}

/** Adds the rules that are set in a message such as `buf.validate.FieldRules` to `rules`. */
export function collect(message: ReflectMessage, where: string, rules: Rules): Rules {
  const group: RuleGroup = new Map();
  rules.set(where, group);
  // Nothing beside or below an IGNORE_ALWAYS is ever looked at.
  if (message.desc.typeName === FieldRulesSchema.typeName) {
    const ignore = FieldRulesSchema.field.ignore;
    if (message.get(ignore) === Ignore.ALWAYS) {
      group.set('ignore', Ignore.ALWAYS);
      return rules;
    }
  }
  for (const field of message.fields) {
    if (!message.isSet(field) || field.name === 'example') continue;
    const value = message.get(field);
    if (field.fieldKind === 'list') addList(field.name, [...message.get(field)], group);
    else if (field.fieldKind === 'message' && !isValue(message.get(field))) {
      collect(message.get(field), `${where}${field.name}.`, rules);
    } else group.set(field.name, plain(value));
  }
  // Rules that a newer protovalidate or the project itself added: known only by number, compared as bytes.
  for (const { no, data } of message.getUnknown() ?? []) group.set(`#${no}`, plain(data));
  return rules;
}

function addList(name: string, items: unknown[], group: RuleGroup): void {
  const plains: RuleValue[] = [];
  for (const item of items) {
    const message = isReflected(item) ? item.message : undefined;
    if (message?.$typeName === 'buf.validate.Rule') {
      const { id, expression } = message as Rule;
      group.set(`${name}[${id}]`, expression);
    } else if (message?.$typeName === 'buf.validate.MessageOneofRule') {
      const { fields, required } = message as MessageOneofRule;
      group.set(`${name}[${[...fields].sort()}]`, required ? 'exactly one' : 'at most one');
    } else if (name === 'cel_expression') {
      group.set(`${name}[${item}]`, String(item));
    } else {
      plains.push(plain(item));
    }
  }
  if (plains.length > 0) group.set(name, plains);
}

/** Messages that are one value, not a group of rules. */
function isValue(message: ReflectMessage): boolean {
  return message.desc.typeName.startsWith('google.protobuf.');
}

function isReflected(value: unknown): value is ReflectMessage {
  return typeof value === 'object' && value !== null && 'desc' in value && 'message' in value;
}

/** Times and durations in nanoseconds, bytes in hex. */
function plain(value: unknown): RuleValue {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (!isReflected(value)) return value as RuleValue;
  const message = value.message as Timestamp | Duration | FieldMask;
  if (message.$typeName === 'google.protobuf.FieldMask') return [...message.paths].sort().join();
  return message.seconds * 1_000_000_000n + BigInt(message.nanos);
}
