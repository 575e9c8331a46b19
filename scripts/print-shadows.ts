import type { Measured } from '../experiments/off-policy/evaluate.ts';
import type { Interval } from '../experiments/off-policy/intervals.ts';
import type { ShadowReport } from '../pipelines/shadow-report.ts';
import { bold, dim, heading, say, table } from './demo/print.ts';

/** What shadows would have done and earned, for a person. */
export function printShadows(reports: readonly ShadowReport[]): void {
  if (reports.length === 0)
    say('   No policy was ever in the shadow, or none has seen a decision: see docs/rollouts.md.');
  for (const report of reports) printShadow(report);
  if (reports.some(({ evaluation }) => evaluation)) {
    say();
    say(
      dim(
        '   rewards are -1 to 1 for each decision whose outcome is known, of the last 90 days; DR is the one to read',
      ),
    );
    say(
      dim('   intervals of 95 % take people for independent of each other; docs/off-policy.md says how to read them'),
    );
  }
}

function printShadow({ policy, version, summary, cpuMicros, evaluation, doubts, ...report }: ShadowReport): void {
  const { counters, days, firstDay, lastDay, people, rewarded } = report;
  heading(`${policy} ${dim(version)}`);
  if (summary) {
    table(
      ['decisions', 'people', 'days', 'from', 'to', 'agreement', 'total variation', 'errors', 'µs of CPU'],
      [
        [
          ...[summary.decisions, people, days].map((count) => count.toLocaleString('en')),
          ...[firstDay, lastDay, percent(summary.agreement), summary.divergence.toFixed(3)],
          ...[counters.errors.toLocaleString('en'), cpuMicros?.toFixed(1) ?? '–'],
        ],
      ],
    );
  }
  if (evaluation) {
    const { spread, logged, estimates } = evaluation;
    say();
    table(
      ['with outcome', 'effective decisions', 'effective people', 'max weight', 'mean weight'],
      [
        [
          rewarded.toLocaleString('en'),
          ...[spread.effectiveRows, spread.effectivePeople].map((value) => Math.floor(value).toLocaleString('en')),
          ...[spread.maxWeight.toFixed(2), spread.meanWeight.toFixed(3)],
        ],
      ],
    );
    say();
    table(
      ['reward', 'value', '95 % normal', '95 % bootstrap', 'gain', '95 % bootstrap of the gain'],
      [
        ['earned', ...cellsOf(logged), '', ''],
        ...estimates.map(({ name, gain, ...estimate }) => [
          name,
          ...cellsOf(estimate),
          number(gain.value),
          interval(gain),
        ]),
      ],
    );
  }
  if (doubts.length > 0) say();
  for (const doubt of doubts) say(`   ${bold('·')} ${doubt}`);
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const number = (value: number): string => value.toFixed(4);
const range = ({ low, high }: Interval): string =>
  Number.isFinite(high - low) ? `${number(low)} to ${number(high)}` : 'not known of one person';
const interval = ({ bootstrap }: Measured): string => range(bootstrap);
const cellsOf = ({ value, normal, bootstrap }: Measured): string[] => [number(value), range(normal), range(bootstrap)];
