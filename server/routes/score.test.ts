import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { canaryExperiment } from '../../experiments/canary.ts';
import type { Experiment, ExperimentSet } from '../../experiments/experiment.ts';
import { policies } from '../../experiments/policies/index.ts';
import { nothingLearnt } from '../../experiments/statistics.ts';
import { noBuckets } from '../../features/buckets.ts';
import { type Envelope, EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { ScoreRequestSchema } from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import { createValidator } from '../../platform/validator.ts';
import type { KnownPerson } from '../read-person.ts';
import { createScore } from './score.ts';

const validator = createValidator();

/** Up to as long as the contract takes it, with characters of several bytes. */
const text = (maxBytes: number) =>
  fc
    .string({ unit: fc.constantFrom('a', ' ', '"', 'é', '\u{1f600}'), maxLength: maxBytes })
    .filter((value) => Buffer.byteLength(value) <= maxBytes);
const name = (maxLength: number) => fc.string({ unit: fc.constantFrom('a', 'Z', '9', '.', '-'), maxLength });

const anyCandidate = fc.record({
  content: text(40),
  kind: fc.constantFrom(TipKind.TASK, TipKind.REMINDER),
  source: fc.constantFrom(TipSource.LLM, TipSource.FALLBACK),
  model: name(128),
  promptVersion: name(64),
  taskId: text(128),
  features: fc.record({
    isOverdue: fc.boolean(),
    taskAgeDays: fc.constantFrom(0, 0.1, 36_500),
    priority: fc.integer({ min: 1, max: 4 }),
  }),
});

const anyRequest = fc
  .record({
    requestId: fc.uuid(),
    userId: text(127).map((rest) => `u${rest}`),
    candidates: fc.oneof(
      { weight: 9, arbitrary: fc.array(anyCandidate, { minLength: 1, maxLength: 5 }) },
      { weight: 1, arbitrary: fc.array(anyCandidate, { minLength: 500, maxLength: 500 }) },
    ),
    timeZone: fc.constantFrom('', 'Europe/Berlin', 'America/Argentina/ComodRivadavia'),
    profileFeatures: fc.option(
      fc.record(
        { completionRate30d: fc.constantFrom(0, 1), meanDwellMs30d: fc.constantFrom(0, 2_592_000_000) },
        { requiredKeys: [] },
      ),
      { nil: undefined },
    ),
  })
  .map(({ candidates, timeZone, profileFeatures, ...rest }) => {
    const withIds = candidates.map((candidate, i) => ({ ...candidate, id: `${i}`.padEnd(128, '-') }));
    const context = { timeZone };
    return create(ScoreRequestSchema, {
      ...rest,
      candidates: withIds,
      context,
      ...(profileFeatures && { profileFeatures }),
    });
  });

const experiment = (i: number): Experiment => ({
  key: `${i}`.padEnd(64, 'e'),
  version: 'v'.repeat(64),
  status: 'running',
  seed: String(i),
  hashVersion: 2,
  arms: [{ key: 'a'.repeat(64), weight: 1 }],
  coverage: 1,
  forced: {},
});
/** As many as an operator may put in force, and everybody in every one of them. */
const experiments: ExperimentSet = {
  version: '',
  experiments: Array.from({ length: 64 }, (_, i) => experiment(i)),
  holdouts: [],
};

const longest = 9_000_000_000_000_000_000n;
/** Read with as many transactions under way as any Postgres has connections. */
const busy = `${longest}:${longest}:${Array.from({ length: 3_000 }, (_, i) => longest - BigInt(i)).join(',')}`;

const known: KnownPerson = {
  buckets: noBuckets,
  snapshot: busy,
  decision: undefined,
  isErased: false,
  statistics: null,
  populationId: '0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1d',
  learnt: { person: nothingLearnt, population: nothingLearnt },
};

it('what decides logs an event that keeps the rules, whatever it is asked, so that none becomes a dead letter', async () => {
  const active = [...policies.values()];
  await fc.assert(
    fc.asyncProperty(
      anyRequest,
      fc.constantFrom(...active),
      fc.option(fc.constant(known), { nil: undefined }),
      fc.constantFrom(Date.UTC(2026, 10, 1), Date.UTC(2099, 11, 31, 23, 59, 59, 999)),
      async (request, policy, person, nowMs) => {
        expect(validator.validate(ScoreRequestSchema, request).violations).toBeUndefined();
        const events: Envelope[] = [];
        const score = createScore({
          readPerson: async () => person,
          readFeast: async () => undefined,
          decisionLog: {
            append: async (event) => {
              events.push(event);
              return event;
            },
          },
          countSkew: () => {},
          countDecision: () => {},
          rollouts: {
            current: () => ({
              active: policy,
              canary: canaryExperiment({ policy: `${'m'.repeat(32)}.9999`, version: '1', percent: 50, step: 2 ** 31 }),
              cleared: policies,
            }),
          },
          experiments: { current: () => experiments },
          clock: () => nowMs,
        });
        await score(request, { requestHeader: new Headers({ traceparent: 'not one' }) });
        const [event] = events;
        expect(event && validator.validate(EnvelopeSchema, event).violations).toBeUndefined();
      },
    ),
    { numRuns: 60 },
  );
});
