import { create, type DescMessage, getOption, hasOption, type MessageInitShape } from '@bufbuild/protobuf';
import { usedTypes } from '@bufbuild/protobuf/reflect';
import { type FieldRules, field as fieldRules } from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';
import { describe, expect, test } from 'vitest';
import { AdminService } from '../../gen/proto/oo/admin/v1/admin_pb.ts';
import { TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import {
  GenerateStreamRequestSchema,
  ScoreRequestSchema,
  ServingService,
} from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import { DomainError } from '../../platform/errors.ts';
import { validate, warmUp } from './validate.ts';

const tip = { id: 'a', kind: TipKind.TASK, source: TipSource.LLM };
const score = (init: MessageInitShape<typeof ScoreRequestSchema>) =>
  create(ScoreRequestSchema, {
    requestId: '018f3c5e-7a1b-7c2d-8e3f-0123456789ab',
    userId: 'u',
    candidates: [tip],
    ...init,
  });

function violationsOf(init: MessageInitShape<typeof ScoreRequestSchema>) {
  try {
    validate(ScoreRequestSchema, score(init));
  } catch (error) {
    if (error instanceof DomainError)
      return { message: error.message, fields: error.violations.map(({ field }) => field) };
    throw error;
  }
  return { message: '', fields: [] };
}

test.each([
  [{}, []],
  [{ userId: 'Ünïcödé 😀' }, []],
  [{ userId: '' }, ['user_id']],
  [{ userId: 'a\nb' }, ['user_id']],
  [{ userId: '😀'.repeat(33) }, ['user_id']],
  [{ requestId: '018f3c5e7a1b7c2d8e3f0123456789ab' }, ['request_id']],
  [{ candidates: [] }, ['candidates']],
  [{ candidates: [tip, { ...tip, id: '' }] }, ['candidates[1].id']],
  [{ candidates: [{ ...tip, features: { priority: 5 } }] }, ['candidates[0].features.priority']],
  [{ candidates: [{ ...tip, features: { taskAgeDays: Number.NaN } }] }, ['candidates[0].features.task_age_days']],
  [{ candidates: [{ ...tip, embedding: [0, Number.NaN] }] }, ['candidates[0].embedding[1]']],
  [{ candidates: [{ ...tip, kind: 99 as TipKind }] }, ['candidates[0].kind']],
  [{ candidates: [{ ...tip, kind: TipKind.UNSPECIFIED }] }, ['candidates[0].kind']],
  [{ context: { dayOfWeek: 0 } }, ['context.day_of_week']],
  [{ profileFeatures: { completionRate30d: 1.01 } }, ['profile_features.completion_rate_30d']],
])('%j breaks the contract at %j', (init, fields) => {
  expect(violationsOf(init).fields).toEqual(fields);
});

test('a part of a request that is required but absent', () => {
  expect(() => validate(GenerateStreamRequestSchema, create(GenerateStreamRequestSchema))).toThrow(/^generate: /);
});

test('names all bad fields up to 20, and counts the rest', () => {
  const candidates = Array.from({ length: 30 }, (_, i) => ({ ...tip, id: `${i}`, confidence: 2 }));
  const { message, fields } = violationsOf({ candidates, userId: '\n' });
  expect(fields).toEqual(['user_id', ...candidates.slice(0, 19).map((_, i) => `candidates[${i}].confidence`)]);
  expect(message).toMatch(/^user_id: .* \(and 30 more\)$/);
});

test('refuses half a million faults about as fast as it reads them', () => {
  const message = score({ requestId: '', candidates: Array.from({ length: 250_000 }, () => ({})) });
  const startMs = performance.now();
  expect(() => validate(ScoreRequestSchema, message)).toThrow(/^request_id: [^(]*$/);
  expect(performance.now() - startMs).toBeLessThan(500);
});

describe('the rules of every request', () => {
  const inputs: readonly DescMessage[] = [...ServingService.methods, ...AdminService.methods].map(({ input }) => input);

  test('can be compiled', () => {
    warmUp(inputs);
  });

  test('have patterns that the platform reads, without nested repetition', () => {
    const patterns = inputs
      .flatMap((input) => [input, ...usedTypes(input)])
      .flatMap((type) => (type.kind === 'message' ? type.fields : []))
      .flatMap((field) => (hasOption(field, fieldRules) ? patternsOf(getOption(field, fieldRules)) : []));
    expect(patterns.length).toBeGreaterThan(5);
    for (const pattern of patterns) {
      expect(() => new RegExp(pattern, 'u')).not.toThrow();
      expect(pattern, 'a group may not repeat').not.toMatch(/\)[*+{]/);
    }
  });
});

function patternsOf({ type }: FieldRules): string[] {
  if (type.case === 'string') return type.value.pattern === '' ? [] : [type.value.pattern];
  if (type.case === 'repeated') return type.value.items ? patternsOf(type.value.items) : [];
  return [];
}
