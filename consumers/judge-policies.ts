import { canaryExperiment } from '../experiments/canary.ts';
import { collectEvidence, type EvidenceRequest } from '../experiments/evidence-store.ts';
import { harmsOf, judge, type Verdict } from '../experiments/gate.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import type { Database } from '../platform/database.ts';
import type { Followed } from '../platform/follow.ts';
import { rollBack } from '../registry/roll-back.ts';
import { foldRollouts, type Standing, servingOf, subjectName } from '../registry/rollout.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';
import type { Chore } from './chores.ts';

export interface JudgePoliciesDeps {
  readonly database: Database;
  /** All that can decide. */
  readonly policies: Pick<Followed<ReadonlyMap<string, Policy>>, 'current'>;
  /** What was judged less than this long ago, at the step where it stands, is not judged again. Default: nothing. */
  readonly freshMs?: number;
}

/**
 * Asks the gate about every policy of this build that is in the shadow or a canary, keeps what it says, and takes a canary
 * away from people where it says that they are harmed. Looking often does no harm: the intervals hold for any number of
 * looks. Several processes may do it at once.
 */
export async function judgePolicies(
  { database, policies, freshMs = 0 }: JudgePoliciesDeps,
  nowMs: number,
): Promise<readonly Verdict[]> {
  const store = createRolloutStore(database);
  const { active, canary, shadows } = servingOf(foldRollouts((await store.readSteps(0)) ?? []));
  const judged = await store.readVerdicts();
  const isFresh = (standing: Standing) =>
    judged.some(
      ({ subject, step, judgedAtMs }) =>
        subject === subjectName(standing) && step === standing.number && nowMs - judgedAtMs < freshMs,
    );
  // whoever decides about people first: a shadow that cannot be judged must not keep them waiting
  const candidates = [...(canary ? [canary] : []), ...shadows].filter(
    (each) => isHere(each, policies.current()) && !isFresh(each),
  );
  if (!active) return [];
  const verdicts: Verdict[] = [];
  for (const standing of candidates) {
    const evidence = await collectEvidence(database, requestOf(standing, active));
    const verdict = judge(evidence, nowMs);
    await store.putVerdict(verdict);
    verdicts.push(verdict);
    const harms = standing.stage === 'canary' ? harmsOf(verdict) : [];
    if (harms.length === 0) continue;
    const reason = harms.map(({ sentence }) => sentence).join(' ');
    await rollBack(store, () => standing, { atMs: nowMs, actor: 'gate', caller: '', reason, verdict });
  }
  return verdicts;
}

/** Soon after each step, and every ten minutes from then on, by one of all processes. */
export function createGateChore(deps: JudgePoliciesDeps): Chore {
  return { name: 'gate', everyMs: 30_000, run: (nowMs) => judgePolicies({ ...deps, freshMs: 600_000 }, nowMs) };
}

const isHere = ({ policy, version }: Standing, policies: ReadonlyMap<string, Policy>): boolean =>
  policies.get(policy)?.version === version;

/** What evidence of a policy is asked for, where it stands beside the active one. */
export function requestOf(standing: Standing, active: Standing): EvidenceRequest {
  const { policy, version, percent, number, sinceMs, servesSinceMs, stage, expectedDivergence } = standing;
  const experiment = canaryExperiment({ policy, version, percent, step: number });
  return {
    subject: subjectName(standing),
    step: number,
    policy: { name: policy, version },
    active: { name: active.policy, version: active.version },
    sinceMs: servesSinceMs ?? sinceMs, // what people did before says nothing of what the policy did to them
    expectedDivergence,
    canary: stage === 'canary' ? { experiment } : undefined,
  };
}
