import type { Interval } from '../experiments/analysis/difference.ts';
import type { RewardDimension, RewardRow } from '../experiments/reward-analytics.ts';
import { bold, dim, say, table } from './demo/print.ts';

const titles: Readonly<Record<RewardDimension, string>> = {
  day: 'day',
  policy: 'policy',
  model: 'model',
  prompt_version: 'prompt version',
  kind: 'kind',
  experiment_arm: 'experiment/version/arm',
};

/** What stands for the tips without a value. */
const labels: Readonly<Partial<Record<RewardDimension, string>>> = {
  model: '(no model wrote it)',
  prompt_version: '(no prompt)',
};

/** What people did with their tips, for a person. Days in their order, anything else most served first. */
export function printRewards(
  rows: readonly RewardRow[],
  { dimension, days }: { readonly dimension: RewardDimension; readonly days: number },
): void {
  const period = days === 1 ? 'today' : `the last ${days} days, today included`;
  say(`   Tips of ${bold(period)} (UTC)`);
  say();
  if (rows.length === 0) {
    say(dimension === 'experiment_arm' ? '   No tip was served in an experiment.' : '   No tip was served.');
    return;
  }
  const ordered = dimension === 'day' ? rows.toSorted((a, b) => (a.key < b.key ? -1 : 1)) : rows;
  table(
    [
      ...[titles[dimension], 'served', 'done', 'dismissed', 'snoozed', 'helpful', 'not helpful'],
      ...['reaction rate', 'mean reward', '95 % interval'],
    ],
    ordered.map(({ key, reactionRate, meanReward, interval, ...counts }) => [
      key === '' ? (labels[dimension] ?? '(none)') : key,
      ...[counts.served, counts.done, counts.dismissed, counts.snoozed, counts.helpful, counts.notHelpful].map(String),
      `${(100 * reactionRate).toFixed(1)} %`,
      number(meanReward),
      range(interval),
    ]),
  );
  say();
  say(dim('   A tip counts on the day of its decision, with one reaction at most: done or dismiss before the others.'));
  say(
    dim('   Mean reward: of the tips with a reaction, -1 to 1; the interval is by person. – where they are too few.'),
  );
}

const number = (value: number | undefined): string => (value === undefined ? '–' : value.toFixed(3));
const range = (interval: Interval | undefined): string =>
  interval ? `${number(interval.lower)} to ${number(interval.upper)}` : '–';
