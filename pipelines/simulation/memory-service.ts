import { create } from '@bufbuild/protobuf';
import { type Decision, decide, type Learnt } from '../../experiments/decide.ts';
import { noExperiments } from '../../experiments/experiment.ts';
import { add, contributionOf, subtract } from '../../experiments/linear-model.ts';
import type { Policy } from '../../experiments/policies/policy.ts';
import { type OutcomeName, rewardMilli } from '../../experiments/rewards.ts';
import { nothingLearnt } from '../../experiments/statistics.ts';
import { type Treatment, treat } from '../../experiments/treatment.ts';
import { addTo, type Folding, startFold } from '../../features/buckets.ts';
import { profileTables } from '../../features/definitions.ts';
import { personDeltas } from '../../features/deltas.ts';
import { type Moment, readMoment } from '../../features/moment.ts';
import { type FeatureReading, readProfile } from '../../features/profile.ts';
import type { DeltaOf } from '../../features/tables.ts';
import { toTimestamp } from '../../features/time.ts';
import { encodeVectors, type Vector } from '../../features/vector.ts';
import type { TipScored } from '../../gen/proto/oo/events/v1/decisions_pb.ts';
import { type Envelope, EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import type { ScoreRequest } from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import { derivedId } from '../../platform/ids.ts';
import type { Answer, Step } from './live.ts';

/** All that a decision is logged from. The server's own `toTipScored` takes it: an edge may not import another. */
export interface Scored {
  readonly request: ScoreRequest;
  readonly requestHash: Uint8Array;
  readonly vectors: readonly Vector[];
  readonly decision: Decision;
  readonly learnt: Learnt;
  readonly treatment: Treatment;
  readonly populationId: string;
  readonly moment: Moment;
  readonly readings: readonly FeatureReading[];
  readonly snapshot: string;
  readonly isFeastUnavailable: boolean;
}

export interface MemoryServiceOptions {
  readonly policy: Policy;
  readonly toTipScored: (scored: Scored) => TipScored;
  /** False: a person's model starts from the prior, whatever others did. */
  readonly isPooled: boolean;
  /** Gets every event, decisions among them, in the order in which they count. */
  readonly onEvent?: (event: Envelope) => void;
  /** Gets every measurement of what all people taught, with the name that decisions give it. */
  readonly onPopulation?: (id: string, learnt: Learnt['population']) => void;
}

export interface MemoryService {
  /** Does what `live` asks for. The answer to a Score; undefined for any other step. */
  take(step: Step): Answer | undefined;
}

/** A row of `tip_outcomes`, as the tables' own merge makes it, with what the chore of rewards writes beside it. */
interface Tip {
  readonly row: Record<string, number | string | undefined>;
  vector?: Vector;
  rewardEventId?: string;
  rewardMilli?: number;
}

interface Known {
  readonly folding: Folding;
  readonly tips: Map<string, Tip>;
  learnt: Learnt['person'];
}

/**
 * The service without its servers: profiles out of real events by the real deltas, the same steps as `routes/score.ts`, and
 * rewards as `reward-store.ts` gives them, at once. Each event is a transaction of its own, so that decisions say what they
 * had seen in the form of Postgres, and `verifyDecision` can hold them to it.
 */
export function createMemoryService(options: MemoryServiceOptions): MemoryService {
  const { policy, toTipScored, isPooled, onEvent, onPopulation } = options;
  const people = new Map<string, Known>();
  let everybody = nothingLearnt;
  let population = { id: '', learnt: nothingLearnt };
  let measurements = 0;
  let transactions = 1;

  const personOf = (userId: string): Known => {
    const known = people.get(userId) ?? { folding: startFold(), tips: new Map(), learnt: nothingLearnt };
    people.set(userId, known);
    return known;
  };

  const store = (event: Envelope, vector?: Vector) => {
    transactions++;
    onEvent?.(event);
    const person = personOf(event.userId);
    for (const delta of personDeltas(event)) {
      if (profileTables.some((table) => table === delta.table)) person.folding.add(delta);
      else if (delta.table === 'tip_outcomes') reward(person, tipOf(person, delta, vector));
    }
  };

  /** As the chore `rewards`: the new reward comes in, and the one before, if there was one, goes out. */
  const reward = (person: Known, tip: Tip) => {
    const { outcome, outcome_event_id: eventId, dwell_ms: dwellMs, decided_at: decidedAt } = tip.row;
    if (decidedAt === undefined || outcome === undefined || eventId === tip.rewardEventId) return;
    const milli = rewardMilli(outcome as OutcomeName, dwellMs as number | undefined);
    const change = subtract(contribution(tip.vector, milli), contribution(tip.vector, tip.rewardMilli));
    tip.rewardEventId = String(eventId);
    tip.rewardMilli = milli;
    person.learnt = add(person.learnt, change);
    everybody = add(everybody, change);
  };

  const score = (request: ScoreRequest, atMs: number): Answer => {
    const person = personOf(request.userId);
    const moment = readMoment(request.context, atMs);
    const profile = readProfile({ buckets: person.folding.buckets }, atMs);
    const vectors = encodeVectors(request.candidates.map(featuresOf), profile, moment);
    const learnt = { person: person.learnt, population: population.learnt };
    const decision = decide(policy, vectors, request.requestId, learnt);
    const decisionId = derivedId('oo.events.v1.TipScored', request.requestId);
    const logged = toTipScored({
      request,
      requestHash: noHash,
      vectors,
      decision,
      treatment: treat(noExperiments, request.userId, moment.nowMs),
      learnt,
      populationId: population.id,
      moment,
      readings: [...profile, ...moment.readings],
      snapshot: `${transactions}:${transactions}:`,
      isFeastUnavailable: false,
    });
    store(eventOf(request, decisionId, atMs, logged), vectors[decision.chosen]);
    return { tipId: logged.tipId, decisionId, propensities: decision.propensities };
  };

  /** As the chore `learnt population`: a row of its own, unless no reward has come or gone. */
  const measure = () => {
    if (!isPooled || everybody === population.learnt) return;
    population = { id: derivedId(`simulation/population/${++measurements}`, noId), learnt: everybody };
    onPopulation?.(population.id, everybody);
  };

  return {
    take(step) {
      if (step.kind === 'score') return score(step.request, step.atMs);
      if (step.kind === 'measure') measure();
      else store(step.event);
      return undefined;
    },
  };
}

const noHash = new Uint8Array(32);
const noId = '00000000-0000-0000-0000-000000000000';

function tipOf(person: Known, { row }: DeltaOf<'tip_outcomes'>, vector: Vector | undefined): Tip {
  const key = `${row.decision_id}/${row.tip_id}`;
  const tip: Tip = person.tips.get(key) ?? { row: {} };
  person.tips.set(key, tip);
  if (vector) tip.vector = vector;
  addTo('tip_outcomes', tip.row, { ...row });
  return tip;
}

function contribution(vector: Vector | undefined, milli: number | undefined) {
  if (!vector || milli === undefined) return nothingLearnt;
  return contributionOf(vector, milli) ?? nothingLearnt;
}

function featuresOf({ features }: ScoreRequest['candidates'][number]) {
  const { isOverdue = false, taskAgeDays = 0, priority = 1 } = features ?? {};
  return { isOverdue, taskAgeDays, priority };
}

function eventOf(request: ScoreRequest, eventId: string, atMs: number, value: TipScored): Envelope {
  return create(EnvelopeSchema, {
    eventId,
    occurredAt: toTimestamp(atMs),
    schemaVersion: 'v1',
    producer: 'oo-ml',
    userId: request.userId,
    causationId: request.requestId,
    payload: { case: 'tipScored', value },
  });
}
