import { contributions } from '../experiments/policies/policy.ts';
import type { FeatureReading, Source, Status } from '../features/profile.ts';
import { unit } from '../features/vector.ts';
import { namesOfDegradation, namesOfTipKind, namesOfTipSource, profileFeatures } from '../gen/proto/oo/contract.ts';
import type { ScoredCandidate, TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import type { DecisionRecords, MeasurementRow } from './decision-records.ts';
import { loggedReadings } from './recompute.ts';
import { type Part, type Verdict, verifyDecision } from './verify-decision.ts';

/**
 * A decision as a document: plain data with the same keys in every one, documented in docs/decision.md. Null: there is
 * none, or it is not known. Instants are ISO 8601 in UTC, rewards and estimates -1 to 1, shares 0 to 1.
 */
export type Explanation = WholeExplanation | Remains;

/** Of a decision whose event is stored. */
export interface WholeExplanation extends Head {
  readonly kind: 'decision';
  readonly time_zone: string;
  readonly features: readonly ExplainedFeature[];
  /** In the order of the request. */
  readonly candidates: readonly ExplainedCandidate[];
  readonly policy: ExplainedPolicy;
  readonly learnt: Learnt;
  readonly experiments: readonly {
    readonly experiment: string;
    readonly version: string;
    readonly arm: string;
    readonly propensity: number;
  }[];
  /** The seed in decimal digits: it has 64 bits. */
  readonly draw: { readonly seed: string; readonly value: number };
  readonly degradations: readonly string[];
  readonly replay: Replay;
}

/** What can still be told where a month of events was dropped, and the decision's with it. */
export interface Remains extends Head {
  readonly kind: 'remains';
  readonly policy: ExplainedPolicy;
  readonly tip: Pick<ExplainedCandidate, 'kind' | 'source' | 'model' | 'prompt_version' | 'score' | 'propensity'>;
  /** How many candidates there were. */
  readonly candidates: number;
  readonly degradations: readonly string[];
}

interface Head {
  readonly decision_id: string;
  readonly request_id: string;
  readonly user_id: string;
  readonly decided_at: string;
  /** The tip that was chosen. */
  readonly tip_id: string;
  readonly after: After;
}

export interface ExplainedFeature {
  readonly name: string;
  readonly value: number | null;
  readonly status: Status;
  readonly source: Source | null;
  readonly as_of: string | null;
  /** Of `as_of`, at the decision. */
  readonly age_ms: number | null;
  /** What our own tables said where another source was used. */
  readonly own_value: number | null;
  /** What the vector has where nothing is known. Null: something is known. */
  readonly taken_as: number | null;
}

export interface ExplainedCandidate {
  readonly tip_id: string;
  readonly kind: string | null;
  readonly source: string | null;
  readonly model: string | null;
  readonly prompt_version: string | null;
  readonly task_id: string | null;
  readonly score: number;
  readonly propensity: number;
  readonly is_chosen: boolean;
  /** A draw from the one up to the other chooses it: the propensities of those before it, and with its own. */
  readonly drawn_from: number;
  readonly drawn_to: number;
  /** What each entry of its vector adds to the score, largest first. Empty: the policy estimates nothing. */
  readonly contributions: readonly Contribution[];
}

export interface Contribution {
  readonly entry: string;
  /** What the policy saw. */
  readonly input: number;
  readonly value: number;
}

export interface ExplainedPolicy {
  readonly name: string;
  /** As logged: the version of its code, then every hyperparameter. */
  readonly version: string;
  readonly code: string;
  readonly hyperparameters: Readonly<Record<string, number>>;
  /** What it starts to learn from. Null: it learns nothing. */
  readonly model_version: string | null;
}

export interface Learnt {
  readonly own_rewards: number;
  /** Null: there were none. */
  readonly own_mean_reward: number | null;
  /** Null: nobody's rewards had been added up yet, or the policy learns nothing. Its fields are null where it was lost. */
  readonly population: {
    readonly id: string;
    readonly measured_at: string | null;
    readonly age_ms: number | null;
    readonly people: number | null;
    readonly rewards: number | null;
  } | null;
}

export interface After {
  readonly shown_at: string | null;
  readonly reactions: readonly {
    readonly reaction: string;
    readonly at: string;
    readonly dwell_ms: number | null;
    readonly reward: number;
  }[];
  /** The reaction that counts, or `ignored`. Null: still open. */
  readonly outcome: string | null;
  readonly outcome_at: string | null;
  /** Null: not given yet. */
  readonly reward: number | null;
  readonly reward_version: string | null;
}

export interface Replay {
  /** Whether all that could be compared is the same, bit for bit. */
  readonly is_equal: boolean;
  /** `month_dropped`: events that it had seen are gone, so that features and vectors are taken from the log. */
  readonly features: 'recomputed' | 'nothing_read' | 'month_dropped';
  /** `unknown_version`: this build does not have the policy in that version, so that it cannot decide again. */
  readonly policy: 'replayed' | 'unknown_version';
  readonly compared: Readonly<Record<Part, number>>;
  readonly differences: readonly Difference[];
}

export interface Difference {
  readonly part: Part;
  readonly name: string;
  readonly verdict: Exclude<Verdict, 'match'>;
  readonly logged: unknown;
  readonly recomputed: unknown;
}

/** Explains a decision from what is stored about it, and decides once more. Pure. */
export function explainDecision(records: DecisionRecords): Explanation {
  const { decisionId, userId, scored, whole } = records;
  const after = afterOf(records);
  if (whole) {
    const { decision, decidedAtMs } = whole.past;
    return {
      kind: 'decision',
      ...{ decision_id: decisionId, request_id: decision.requestId, user_id: userId },
      ...{ decided_at: iso(decidedAtMs), time_zone: decision.timeZone, tip_id: decision.tipId },
      features: loggedReadings(decision).map((reading) => explainFeature(reading, decidedAtMs)),
      candidates: explainCandidates(decision),
      policy: explainPolicy(decision.policy, decision.policyVersion, decision.modelVersion),
      learnt: learntOf(decision, whole.measurement, decidedAtMs),
      experiments: decision.experiments.map(({ experiment, version, arm, propensity }) => ({
        ...{ experiment, version, arm, propensity },
      })),
      draw: { seed: String(decision.seed), value: decision.draw },
      degradations: decision.degradations.map((each) => namesOfDegradation[each] ?? 'unspecified'),
      after,
      replay: replayOf(whole),
    };
  }
  if (!scored) throw new Error(`nothing is stored about decision ${decisionId}`);
  return {
    kind: 'remains',
    ...{ decision_id: decisionId, request_id: scored.request_id, user_id: userId },
    ...{ decided_at: scored.decided_at.toISOString(), tip_id: scored.tip_id },
    policy: explainPolicy(scored.policy, scored.policy_version, scored.model_version ?? ''),
    tip: {
      ...{ kind: scored.tip_kind, source: scored.tip_source },
      ...{ model: scored.llm_model, prompt_version: scored.prompt_version },
      ...{ score: scored.score, propensity: scored.propensity },
    },
    candidates: scored.candidates,
    degradations: scored.degradations,
    after,
  };
}

function explainFeature(reading: FeatureReading, decidedAtMs: number): ExplainedFeature {
  const { name, value, status, source, asOfMs, storeValue } = reading;
  const fallback = profileFeatures.find((feature) => feature.name === name)?.nullFallback ?? 0;
  return {
    ...{ name, value: value ?? null, status, source: source ?? null },
    as_of: asOfMs === undefined ? null : iso(asOfMs),
    age_ms: asOfMs === undefined ? null : decidedAtMs - asOfMs,
    own_value: storeValue ?? null,
    taken_as: value === undefined ? fallback : null,
  };
}

function explainCandidates(decision: TipScored): ExplainedCandidate[] {
  let cumulated = 0;
  return decision.candidates.map((candidate) => {
    const from = cumulated;
    cumulated += candidate.propensity;
    return {
      ...{ tip_id: candidate.tipId, task_id: candidate.taskId || null },
      ...{ kind: namesOfTipKind[candidate.kind] ?? null, source: namesOfTipSource[candidate.source] ?? null },
      ...{ model: candidate.model || null, prompt_version: candidate.promptVersion || null },
      ...{ score: candidate.score, propensity: candidate.propensity, is_chosen: candidate.tipId === decision.tipId },
      ...{ drawn_from: from, drawn_to: cumulated },
      contributions: contributionsOf(decision, candidate),
    };
  });
}

function contributionsOf({ weights, vectorNames }: TipScored, { vector }: ScoredCandidate): Contribution[] {
  return contributions(weights, vector)
    .map((value, i) => ({ entry: vectorNames[i] ?? `entry ${i + 1}`, input: (vector[i] ?? 0) * unit, value }))
    .filter(({ value }) => value !== 0)
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
}

/** Reads what `versionOf` wrote. */
function explainPolicy(name: string, version: string, modelVersion: string): ExplainedPolicy {
  const [code = '', ...rest] = version.split(';');
  const hyperparameters = rest.map((each) => [each.split('=')[0], Number(each.split('=')[1])]);
  return {
    ...{ name, version, code },
    hyperparameters: Object.fromEntries(hyperparameters),
    model_version: modelVersion || null,
  };
}

function learntOf({ statistics, populationId }: TipScored, row: MeasurementRow | undefined, atMs: number): Learnt {
  const count = Number(statistics?.count ?? 0);
  const population = {
    id: populationId,
    measured_at: row ? row.measured_at.toISOString() : null,
    age_ms: row ? atMs - row.measured_at.getTime() : null,
    people: row?.people ?? null,
    rewards: row?.count ?? null,
  };
  return {
    own_rewards: count,
    own_mean_reward: count === 0 ? null : Number(statistics?.reward ?? 0) / 1000 / count,
    population: populationId === '' ? null : population,
  };
}

function afterOf({ outcome, reactions }: Pick<DecisionRecords, 'outcome' | 'reactions'>): After {
  return {
    shown_at: outcome?.served_at?.toISOString() ?? null,
    reactions: reactions.map(({ reaction, reacted_at, dwell_ms, reward_milli }) => ({
      ...{ reaction, at: reacted_at.toISOString(), dwell_ms, reward: reward_milli / 1000 },
    })),
    outcome: outcome?.outcome ?? null,
    outcome_at: outcome?.outcome_at?.toISOString() ?? null,
    reward: typeof outcome?.reward_milli === 'number' ? outcome.reward_milli / 1000 : null,
    reward_version: outcome?.reward_version ?? null,
  };
}

/** Where events are gone, what follows from the logged vectors is compared alone. */
function replayOf({ past, population, decider, isTooOld }: NonNullable<DecisionRecords['whole']>): Replay {
  const isGone = isTooOld && past.snapshot !== undefined;
  const comparisons = verifyDecision(past, population, decider).filter(({ part }) => part === 'decision' || !isGone);
  const differences = comparisons.flatMap(({ verdict, ...rest }) =>
    verdict === 'match' ? [] : [{ ...rest, verdict, logged: plain(rest.logged), recomputed: plain(rest.recomputed) }],
  );
  const count = (part: Part) => comparisons.filter((each) => each.part === part).length;
  return {
    is_equal: differences.length === 0,
    features: isGone ? 'month_dropped' : past.snapshot ? 'recomputed' : 'nothing_read',
    policy: decider.policy ? 'replayed' : 'unknown_version',
    compared: { feature: count('feature'), vector: count('vector'), decision: count('decision') },
    differences,
  };
}

/** As JSON has it. */
function plain(value: unknown): unknown {
  if (value === undefined) return null;
  return JSON.parse(JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each)));
}

const iso = (ms: number): string => new Date(ms).toISOString();
