import { create } from '@bufbuild/protobuf';
import { decide, type Learnt } from '../../experiments/decide.ts';
import type { Statistics } from '../../experiments/linear-model.ts';
import type { Policy } from '../../experiments/policies/policy.ts';
import {
  nothingLearnt,
  statisticsArrays,
  statisticsColumns,
  statisticsVersion,
  toLogged,
} from '../../experiments/statistics.ts';
import { toTimestamp } from '../../features/time.ts';
import { type Vector, vectorNames, vectorVersion } from '../../features/vector.ts';
import { type TipScored, TipScoredSchema } from '../../gen/proto/oo/events/v1/decisions_pb.ts';
import { type Envelope, EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import type { Database } from '../../platform/database.ts';
import { newId } from '../../platform/ids.ts';

interface Made {
  readonly vectors: readonly Vector[];
  readonly learnt?: Partial<Learnt>;
  readonly populationId?: string;
  readonly requestId?: string;
}

/** A decision as the server logs it. The candidates are `tip-0`, `tip-1`, …. */
export function decisionBy(policy: Policy, made: Made): TipScored {
  const { vectors, populationId = '', requestId = newId(Date.now()) } = made;
  const learnt = { person: nothingLearnt, population: nothingLearnt, ...made.learnt };
  const { chosen, scores, propensities, policy: served, ...rest } = decide(policy, vectors, requestId, learnt);
  return create(TipScoredSchema, {
    requestId,
    requestHash: new Uint8Array(32),
    tipId: `tip-${chosen}`,
    candidates: vectors.map((vector, i) => ({
      tipId: `tip-${i}`,
      kind: TipKind.ADVICE,
      source: TipSource.LLM,
      vector: [...vector],
      score: scores[i] ?? 0,
      propensity: propensities[i] ?? 0,
    })),
    policy: served.name,
    policyVersion: served.version,
    modelVersion: rest.modelVersion,
    weights: [...rest.weights],
    vectorNames: [...vectorNames],
    seed: rest.seed,
    draw: rest.draw,
    vectorVersion,
    ...(served.learning && {
      populationId,
      ...(learnt.person.count > 0 && { statistics: toLogged(learnt.person) }),
    }),
  });
}

/** The event of a decision, with an id of its own. */
export function decided(userId: string, atMs: number, value: TipScored, eventId = newId(Date.now())): Envelope {
  return create(EnvelopeSchema, {
    eventId,
    userId,
    occurredAt: toTimestamp(atMs),
    schemaVersion: 'v1',
    producer: 'test',
    payload: { case: 'tipScored', value },
  });
}

/** Keeps what everybody taught, under a new id. */
export async function keepPopulation(database: Database, statistics: Statistics): Promise<string> {
  const { rows } = await database.query<{ id: string }>(
    `INSERT INTO policy_population (id, version, people, ${statisticsColumns})
    SELECT gen_random_uuid(), $1, 1, count, reward, reward_squared, xy::int8[], xx::int8[]
    FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::text[], $6::text[]) AS s(count, reward, reward_squared, xy, xx)
    RETURNING id`,
    [statisticsVersion, ...statisticsArrays([statistics])],
  );
  return rows[0]?.id ?? '';
}
