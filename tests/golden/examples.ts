// One event of each payload of the contract as small as the rules allow, and one with all there is to say. What is new
// is added here, a field as another variant beside `full`; `npm run golden` makes the files. Nobody real is in them.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { subjects } from '../../gen/proto/oo/contract.ts';
import type { EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { Degradation, Reaction, TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { FeatureSource, FeatureStatus } from '../../gen/proto/oo/features/v1/features_pb.ts';

type Init = Exclude<MessageInitShape<typeof EnvelopeSchema>, { $typeName: string }>;
type Payload = NonNullable<Init['payload']>;
type ValueOf<Case extends Payload['case']> = Extract<Payload, { case: Case }>['value'];

type Examples = {
  readonly [Case in keyof typeof subjects]: Readonly<Record<'minimal' | 'full', ValueOf<Case>>> &
    Readonly<Record<string, ValueOf<Case>>>;
};

const decisionId = '0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1d';
const requestId = '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1e';
const hash = new Uint8Array(32).fill(7);
const hex = '07'.repeat(32);

export const examples: Examples = {
  taskSynced: {
    minimal: { provider: 'todoist' },
    full: { provider: 'todoist', openTasks: 12, overdueTasks: 3, completedTasks: 2 },
  },
  tipServed: {
    minimal: { tipId: 't' },
    full: { tipId: 'tip-1', decisionId, kind: TipKind.REMINDER, source: TipSource.FALLBACK },
  },
  tipRewardFailed: {
    minimal: { tipId: 't', reason: 'timeout' },
    full: { tipId: 'tip-1', decisionId, reaction: Reaction.NOT_HELPFUL, reason: 'timeout', attempts: 5 },
  },
  healthSampled: {
    minimal: { provider: 'google_health' },
    full: { provider: 'google_health', steps: 8_000, sleepMinutes: 431, activeMinutes: 0, restingHeartRateBpm: 61 },
  },
  calendarSynced: {
    minimal: { provider: 'google_calendar' },
    full: { provider: 'google_calendar', remainingEvents: 3, busyMinutes: 95, nextEventInMinutes: 0 },
  },
  integrationConnected: { minimal: { provider: 'todoist' }, full: { provider: 'google_health' } },
  integrationTokenExpired: { minimal: { provider: 'todoist' }, full: { provider: 'google_health' } },
  tipFeedback: {
    minimal: { tipId: 't', reaction: Reaction.DISMISS },
    full: { tipId: 'tip-1', decisionId, reaction: Reaction.DONE, dwellMs: 45_000n, hourOfDay: 0, dayOfWeek: 7 },
  },
  tipIgnored: { minimal: { tipId: 't' }, full: { tipId: 'tip-1', decisionId, waitedMs: 86_400_000n } },
  tipScored: {
    minimal: {
      requestId,
      requestHash: hash,
      tipId: 't',
      candidates: [{ tipId: 't' }],
      policy: 'random',
      policyVersion: '1',
    },
    full: {
      requestId,
      requestHash: hash,
      tipId: 'tip-1',
      candidates: [
        {
          tipId: 'tip-1',
          kind: TipKind.ADVICE,
          source: TipSource.LLM,
          model: 'qwen2.5:7b',
          promptVersion: 'v1',
          vector: [4096, -4096, 0, 1],
          score: 0.25,
          propensity: 0.95,
        },
        {
          tipId: 'task-7',
          kind: TipKind.TASK,
          source: TipSource.TASK_DIRECT,
          taskId: '7',
          score: -0.5,
          propensity: 0.05,
        },
      ],
      policy: 'egreedy-v2',
      policyVersion: '1;epsilon=0.1',
      modelVersion: 'prior-1',
      weights: [0, 0.3, -0.1, 1e-9],
      vectorNames: ['hour_sin', 'hour_cos', 'is_overdue', 'task_age_norm'],
      featureValues: [
        {
          name: 'completion_rate_30d',
          value: 0.5,
          status: FeatureStatus.STALE,
          source: FeatureSource.REQUEST,
          asOf: { seconds: 1_790_000_000n, nanos: 999_000_000 },
          storeValue: 0.25,
        },
        {
          name: 'done_by_weekday_30d',
          values: [0, 1, 2, 3, 4, 5, 6],
          status: FeatureStatus.PRESENT,
          source: FeatureSource.STORE,
        },
        { name: 'preferred_hour', status: FeatureStatus.MISSING },
      ],
      experiments: [{ experiment: 'prompts', version: '2', arm: 'b', propensity: 0.5 }],
      seed: 2n ** 64n - 1n,
      draw: 0.999999,
      snapshot: '7:12:8,10',
      degradations: [Degradation.POLICY_FALLBACK, Degradation.FEAST_UNAVAILABLE],
      timeZone: 'Europe/Amsterdam',
    },
    learnt: {
      requestId,
      requestHash: hash,
      tipId: 't',
      candidates: [{ tipId: 't', vector: [4096, -1], propensity: 1 }],
      policy: 'egreedy-v2',
      policyVersion: '2;lambda=5;kappa=10;epsilon=0.1',
      vectorVersion: '1',
      statistics: {
        count: 2n,
        xx: [16_777_216n, -4096n, 1n],
        xy: [-4_096_000n, 1000n],
        reward: -1000n,
        rewardSquared: 1_000_000n,
      },
      populationId: '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1f',
    },
    experiments: {
      requestId,
      requestHash: hash,
      tipId: 't',
      candidates: [{ tipId: 't', propensity: 1 }],
      policy: 'linucb-v1',
      policyVersion: '1',
      experiments: [
        { experiment: 'policies', version: '1', arm: 'linucb', propensity: 0.1 },
        { experiment: 'colours', arm: 'red', propensity: 1 },
      ],
      forcedExperiments: [{ experiment: 'prompts', version: '2', arm: 'mentor' }],
    },
    timed: {
      requestId,
      requestHash: hash,
      tipId: 't',
      candidates: [{ tipId: 't', propensity: 1 }],
      policy: 'random',
      policyVersion: '1',
      elapsedMicros: 1_234,
    },
  },
  tipGenerated: {
    minimal: { requestId, requestHash: hash, promptVersion: 'fallback', promptHash: hex },
    full: {
      requestId,
      requestHash: hash,
      tips: [{ tipId: 'tip-1', kind: TipKind.INSIGHT, source: TipSource.LLM, signalIds: ['task-7', 'health-1'] }],
      model: 'qwen2.5:7b',
      promptVersion: 'v2-mentor',
      promptHash: hex,
      promptTokens: 412,
      completionTokens: 97,
      degradations: [Degradation.LLM_UNGROUNDED],
      requestedPromptVersion: 'v2-mentor',
    },
    experiments: {
      requestId,
      requestHash: hash,
      promptVersion: 'v2-mentor',
      promptHash: hex,
      experiments: [{ experiment: 'prompts', version: '2', arm: 'mentor', propensity: 0.5 }],
      forcedExperiments: [{ experiment: 'policies', version: '1', arm: 'linucb' }],
    },
    bandit: {
      requestId,
      requestHash: hash,
      promptVersion: 'v2-mentor',
      promptHash: hex,
      experiments: [
        {
          experiment: 'prompts',
          version: '3',
          arm: 'mentor',
          propensity: 0.75,
          bandit: {
            policy: 'beta-thompson',
            policyVersion: '1;samples=1024;floor=0.05',
            measurement: 17,
            propensities: [0.25, 0.75],
          },
        },
      ],
    },
  },
};

/** What the envelopes around them say. */
export const envelopes: Readonly<Record<'minimal' | 'full', Init>> = {
  minimal: {
    eventId: '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1f',
    occurredAt: { seconds: 946_684_800n },
    schemaVersion: 'v1',
    producer: 'p',
    userId: 'u',
  },
  full: {
    eventId: '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c20',
    occurredAt: { seconds: 1_790_000_000n, nanos: 123_000_000 },
    schemaVersion: 'v1',
    producer: 'recommender@1.4.2',
    userId: 'nobody-ünï-👋',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    correlationId: 'visit-1',
    causationId: requestId,
  },
};
