import type { Measured, Report } from '../experiments/off-policy/evaluate.ts';
import type { Interval } from '../experiments/off-policy/intervals.ts';
import type { LeftOut } from '../pipelines/decision-log.ts';
import { bold, dim, green, say, table } from './demo/print.ts';

/** What an off-policy evaluation found, for a person. */
export function printEvaluation({ reward, confidence, verdict, checks, spread, logged, estimates }: Report): void {
  const { number, cellsOf, interval } = createCells([logged, ...estimates.flatMap((each) => [each, each.gain])]);
  const isEnough = verdict.kind === 'sufficient evidence';
  say(`   ${spread.rows} decisions about ${spread.people} people, ${reward.replaceAll('-', ' ')}`);
  say();
  table(
    ['check', 'passes', ''],
    checks.map(({ name, passes, says }) => [name, passes ? 'yes' : 'NO', says]),
  );
  say();
  const level = `${Math.round(confidence * 100)} %`;
  table(
    ['estimator', 'value', `${level} normal`, `${level} bootstrap`, 'gain', `${level} bootstrap of the gain`, 'shows'],
    [
      ['logged', ...cellsOf(logged), '', '', ''],
      ...estimates.map(({ name, gain, ...estimate }) => [
        name,
        ...cellsOf(estimate),
        number(gain.value),
        interval(gain.bootstrap),
        isEnough ? conclusionOf(gain) : '',
      ]),
    ],
  );
  say();
  if (isEnough) say(`   ${green('Sufficient evidence')}`);
  else say(`   ${bold('Insufficient evidence')}: ${verdict.vetoes.map(({ name }) => name).join(', ')}`);
  say(dim('   gain: how much better than what was logged; above 0 is better'));
  if (estimates.some(({ name }) => name === 'DM')) say(dim('   DM: its intervals do not know the bias of the model'));
  if (reward === 'lower-is-better')
    say(dim('   clipped IPS pulls towards 0: where rewards are costs above 0, it makes them look lower'));
}

/** Why our own decisions are not all among those that were read. */
export function printLeftOut({ vectors, statistics, propensities }: LeftOut): void {
  const reasons = [
    [vectors, 'their vectors are of another encoding'],
    [statistics, 'what policies had learnt by then was not logged, or is lost'],
    [propensities, 'their propensities are no distribution'],
  ] as const;
  for (const [count, why] of reasons) if (count > 0) process.stdout.write(`${count} left out: ${why}\n`);
}

/** Numbers with as many decimals as leave four digits to the largest of them. */
function createCells(all: readonly Measured[]) {
  const ends = all.flatMap(({ value, normal }) => [value, normal.low, normal.high]).filter(Number.isFinite);
  const largest = ends.reduce((most, end) => Math.max(most, Math.abs(end)), 1e-9);
  const decimals = Math.max(0, 3 - Math.floor(Math.log10(largest)));
  const number = (value: number) => value.toFixed(decimals);
  const interval = ({ low, high }: Interval) => `${number(low)} to ${number(high)}`;
  const cellsOf = ({ value, normal, bootstrap }: Measured) => [number(value), interval(normal), interval(bootstrap)];
  return { number, interval, cellsOf };
}

/** Better or worse only where both intervals say so. */
function conclusionOf({ normal, bootstrap }: Measured): string {
  if (normal.low > 0 && bootstrap.low > 0) return 'better';
  return normal.high < 0 && bootstrap.high < 0 ? 'worse' : 'no difference';
}
