import { evaluateShadow } from '../experiments/evaluate-shadow.ts';
import { doublyRobust, ips, snips } from '../experiments/off-policy/estimators.ts';
import type { Options, Report } from '../experiments/off-policy/evaluate.ts';
import { type ShadowSummary, summariseShadow } from '../experiments/shadow.ts';
import { readRewarded, readShadows, type ShadowTotals } from '../experiments/shadow-rewards-store.ts';
import { atOneInstant, type Database } from '../platform/database.ts';

/** What is known of one version of a policy in the shadow. */
export interface ShadowReport extends ShadowTotals {
  /** Undefined: no decision was compared. */
  readonly summary: ShadowSummary | undefined;
  /** CPU time of the shadow for each decision that it was asked about. Undefined: none. */
  readonly cpuMicros: number | undefined;
  /** Decisions whose outcome is known by now. */
  readonly rewarded: number;
  /** What it would have earned for each of them, in rewards of -1 to 1, beside what was earned. Undefined: there is none. */
  readonly evaluation: Report | undefined;
  /** What speaks against reading more into it, in sentences. Empty: nothing. */
  readonly doubts: readonly string[];
}

/**
 * Reports on all shadows, or on those of one name, as of one instant. Reads what was kept of each decision twice. Memory
 * holds sums for each person.
 */
export function reportShadows(
  database: Database,
  { policy, ...options }: Options & { readonly policy?: string | undefined } = {},
): Promise<readonly ShadowReport[]> {
  return atOneInstant(database, async (client) => {
    const reports: ShadowReport[] = [];
    for (const totals of await readShadows(client, policy)) {
      const read = () => readRewarded(client, totals);
      const { rewarded, whole } = await evaluateShadow(read, { estimators: [doublyRobust, snips, ips], ...options });
      const summary = summariseShadow(totals.counters);
      const asked = totals.counters.decisions + totals.counters.errors;
      reports.push({
        ...totals,
        summary,
        cpuMicros: asked === 0 ? undefined : totals.counters.cpuMicros / asked,
        rewarded,
        evaluation: whole,
        doubts: doubtsOf(totals, rewarded, whole),
      });
    }
    return reports;
  });
}

const week = 7;

export function doubtsOf(
  { counters, days, behind = 0 }: Pick<ShadowTotals, 'counters' | 'days' | 'behind'>,
  rewarded: number,
  evaluation: Report | undefined,
): readonly string[] {
  const { decisions, errors, skippedVectors, skippedStatistics, skippedPropensities } = counters;
  const many = (count: number, what: string) => `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;
  const doubts = [
    decisions === 0 && 'It was compared with no decision yet.',
    errors > 0 &&
      `It failed on ${many(errors, 'decision')} of ${(decisions + errors).toLocaleString('en')}; nothing is known of what it would have earned there.`,
    skippedStatistics > 0 &&
      `${many(skippedStatistics, 'decision')} came without what policies had learnt by then (from before it was logged, or by a policy that learns nothing) and were left out.`,
    skippedVectors > 0 && `${many(skippedVectors, 'decision')} with vectors of another encoding were left out.`,
    skippedPropensities > 0 &&
      `${many(skippedPropensities, 'decision')} without a proper distribution in the log were left out.`,
    behind > 0 && `${many(behind, 'decision')} wait to be scored.`,
    decisions > 0 && days < week && `There are decisions of ${many(days, 'day')} only: no week is whole.`,
    decisions > 0 && rewarded === 0 && 'No outcome is known yet: what it would have earned cannot be said.',
    rewarded > 0 && !evaluation && 'What is kept of the decisions makes no sense: nothing was estimated.',
    ...(evaluation?.verdict.kind === 'insufficient evidence'
      ? evaluation.verdict.vetoes.map(({ name, says }) => `Too little evidence, by the ${name}: ${says}.`)
      : []),
  ];
  return doubts.filter((doubt) => doubt !== false);
}
