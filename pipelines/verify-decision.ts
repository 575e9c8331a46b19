import { decide } from '../experiments/decide.ts';
import type { Statistics } from '../experiments/linear-model.ts';
import { policies } from '../experiments/policies/index.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { ofLogged } from '../experiments/statistics.ts';
import type { FeatureReading } from '../features/profile.ts';
import { isOfCandidate } from '../features/vector.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { Degradation } from '../gen/proto/oo/events/v1/tip_pb.ts';
import type { PastDecision } from './point-in-time.ts';
import { loggedReadings, recompute } from './recompute.ts';

/** `missing`: the log has a value and we compute none. `extra`: the reverse. */
export type Verdict = 'match' | 'mismatch' | 'missing' | 'extra';

/** `feature`: what was known. `vector`: what of it the policy saw. `decision`: what follows from that. */
export type Part = 'feature' | 'vector' | 'decision';

/** One thing a decision says, beside what it should say. */
export interface Comparison {
  readonly part: Part;
  readonly name: string;
  readonly verdict: Verdict;
  readonly logged: unknown;
  readonly recomputed: unknown;
}

/**
 * Recomputes a decision from what its read had seen, and compares bit by bit: every reading, every entry of all vectors
 * but what the request said of the candidates themselves, and, with a policy that this build knows, what the policy made
 * of the logged vectors and of what it had learnt: of the person by the log, of everybody by `population`, undefined where
 * that is lost. `decider`: by default a policy of this build. Pure.
 */
export function verifyDecision(
  past: PastDecision,
  population: Statistics | undefined,
  decider: Decider = deciderIn(policies, past.decision),
): readonly Comparison[] {
  const { decision, decidedAtMs, snapshot, buckets } = past;
  const { profile, moment, entries } = recompute(decision, decidedAtMs, buckets);
  return [
    ...compareReadings(loggedReadings(decision), [...profile, ...moment.readings]),
    ...compareVectors(decision, entries),
    compareSnapshot(decision, snapshot !== undefined),
    ...(population ? compareReplay(decision, population, decider) : [lostPopulation(decision)]),
  ];
}

/** Who decided. */
export interface Decider {
  /** Undefined: it is not there in that version, and what it did is not replayed. */
  readonly policy: Policy | undefined;
  /** What the policy's predictor says of the logged vectors. Undefined: it has none, or it gave no answer. */
  readonly predictions?: readonly number[] | undefined;
}

/** Who decided, among some. */
export function deciderIn(known: ReadonlyMap<string, Policy>, decision: TipScored): Decider {
  const policy = known.get(decision.policy);
  return { policy: policy?.version === decision.policyVersion ? policy : undefined };
}

function compareReadings(logged: readonly FeatureReading[], recomputed: readonly FeatureReading[]): Comparison[] {
  const names = new Set([...recomputed, ...logged].map(({ name }) => name));
  return [...names].map((name) => {
    const [theirs, again] = logged.filter((reading) => reading.name === name);
    const ours = recomputed.find((reading) => reading.name === name);
    const isSame = isSameReading(theirs, ours) && again === undefined;
    const verdict = verdictOf(computedOf(theirs), computedOf(ours), isSame);
    return { part: 'feature', name, verdict, logged: theirs, recomputed: ours };
  });
}

/** What our tables or our clock said, whoever's value was used. */
function computedOf(reading: FeatureReading | undefined): number | undefined {
  const isForeign = reading?.source === 'request' || reading?.source === 'feast';
  return isForeign ? reading.storeValue : reading?.value;
}

function isSameReading(a: FeatureReading | undefined, b: FeatureReading | undefined): boolean {
  return (
    Object.is(a?.value, b?.value) &&
    Object.is(a?.storeValue, b?.storeValue) &&
    (a?.status ?? 'missing') === (b?.status ?? 'missing') &&
    a?.source === b?.source &&
    a?.asOfMs === b?.asOfMs
  );
}

function compareVectors({ vectorNames, candidates }: TipScored, entries: ReadonlyMap<string, number>): Comparison[] {
  const longest = Math.max(...candidates.map(({ vector }) => vector.length));
  const named = [...vectorNames];
  while (named.length < longest) named.push(`entry ${named.length + 1}`); // that nobody named
  const names = new Set([...entries.keys(), ...named].filter((name) => !isOfCandidate(name)));
  return [...names].map((name) => {
    const position = named.indexOf(name);
    const ours = entries.get(name);
    const logged = position === -1 ? undefined : candidates.map(({ vector }) => vector[position]);
    const isSame = logged?.every((entry) => Object.is(entry, ours)) ?? false;
    return { part: 'vector', name, verdict: verdictOf(logged, ours, isSame), logged, recomputed: ours };
  });
}

/** A decision says that it knew nothing of the person exactly when it read nothing. */
function compareSnapshot({ snapshot, degradations }: TipScored, isSnapshot: boolean): Comparison {
  const knewNothing = degradations.includes(Degradation.PROFILE_UNAVAILABLE);
  const isRight = knewNothing ? snapshot === '' : isSnapshot;
  const recomputed = knewNothing ? 'none' : 'a snapshot';
  return { part: 'decision', name: 'snapshot', verdict: isRight ? 'match' : 'mismatch', logged: snapshot, recomputed };
}

function lostPopulation({ populationId }: TipScored): Comparison {
  return { part: 'decision', name: 'population', verdict: 'missing', logged: populationId, recomputed: undefined };
}

/** The decision once more, by what the policy had learnt then. */
function compareReplay(decision: TipScored, population: Statistics, { policy, predictions }: Decider): Comparison[] {
  if (!policy) return [];
  const { requestId, tipId, weights, modelVersion, candidates, seed, draw } = decision;
  const vectors = candidates.map(({ vector }) => vector);
  const learnt = { person: ofLogged(decision.statistics), population, predictions };
  const again = decide(policy, vectors, requestId, learnt);
  const same = (name: string, logged: unknown, recomputed: unknown): Comparison => {
    const verdict = isSame(logged, recomputed) ? 'match' : 'mismatch';
    return { part: 'decision', name, verdict, logged, recomputed };
  };
  const scores = candidates.map(({ score }) => score);
  const propensities = candidates.map(({ propensity }) => propensity);
  return [
    same('weights', [modelVersion, ...weights], [again.modelVersion, ...again.weights]),
    same('score', scores, again.scores),
    same('propensity', propensities, again.propensities),
    same('draw', [seed, draw], [again.seed, again.draw]),
    same('tip', tipId, candidates[again.chosen]?.tipId),
  ];
}

function isSame(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return Object.is(a, b);
  return a.length === b.length && a.every((each, i) => Object.is(each, b[i]));
}

function verdictOf(logged: unknown, recomputed: unknown, isSame: boolean): Verdict {
  if (logged === undefined && recomputed !== undefined) return 'extra';
  if (logged !== undefined && recomputed === undefined) return 'missing';
  return isSame ? 'match' : 'mismatch';
}
