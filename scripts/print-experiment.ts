import type { Adjusted, Comparison, Interval } from '../experiments/analysis/difference.ts';
import { daysBefore } from '../experiments/analysis/period-before.ts';
import type { BanditReport, ExperimentReport } from '../experiments/analysis/report.ts';
import { bold, dim, say, table } from './demo/print.ts';

/** How the arms of an experiment differ, for a person. */
export function printExperiment(report: ExperimentReport): void {
  const { experiment, control, before, arms, metrics, sampleRatio, peopleInSeveralArms, bandit } = report;
  say(`   ${bold(experiment.key)} version ${experiment.version}, ${experiment.status}; compared with ${control}`);
  say();
  if (bandit) printBandit(bandit);
  table(
    ['arm', 'share', 'people', 'decisions', 'rewards'],
    arms.map(({ arm, share, sums: { people, d, rewards } }) => [
      arm,
      percent(share),
      ...[people, d, rewards].map(String),
    ]),
  );
  say();
  const { alarm, pValue } = sampleRatio;
  if (alarm)
    say(
      `   ${bold('The arms did not get the people they should have')}: trust no comparison (p = ${pValue.toExponential(1)})`,
    );
  else say(`   the arms got the people they should have (p = ${pValue.toFixed(3)})`);
  if (peopleInSeveralArms > 0)
    say(`   ${bold(`${peopleInSeveralArms} people were found in several arms`)} and left out`);
  for (const { metric, analysis } of metrics) {
    say();
    say(`   ${metric.name}, in ${metric.unit}`);
    const comparisons = new Map(analysis.comparisons.map((each) => [each.arm, each]));
    table(
      ['arm', 'mean', 'interval', 'difference', 'for one look', 'for any number of looks', 'is'],
      analysis.arms.map(({ arm, mean, interval }) => [
        ...[arm, number(mean), range(interval)],
        ...cellsOf(comparisons.get(arm)),
      ]),
    );
    for (const { arm, adjusted } of analysis.comparisons) if (adjusted) say(`   ${arm} adjusted: ${inWords(adjusted)}`);
  }
  say();
  say(
    dim(
      '   is: better or worse than the control, where the interval for any number of looks says so, adjusted if it is',
    ),
  );
  if (before)
    say(dim(`   adjusted: less what the same people differed by in the ${daysBefore} days before ${day(before.toMs)}`));
}

/** What the bandit has learnt, of everybody; what follows it is of those who keep an arm. */
function printBandit({ epoch, measuredAtMs, arms }: BanditReport): void {
  const measured =
    measuredAtMs === undefined
      ? 'nothing is measured yet, so all arms are equal'
      : `measurement ${epoch.measurement} of ${new Date(measuredAtMs).toISOString()}`;
  say(`   a bandit, ${epoch.policy} ${epoch.policyVersion}: ${measured}`);
  table(
    ['arm', 'prompt', 'probability', 'requests', 'people', 'tips', 'mean reward'],
    arms.map(({ arm, promptVersion, probability, requests, people, tips, rewardMilli }) => [
      ...[arm, promptVersion, percent(probability), ...[requests, people, tips].map(String)],
      tips === 0 ? '–' : (rewardMilli / 1000 / tips).toFixed(3),
    ]),
  );
  say();
  say('   those who keep an arm');
}

function inWords({ value, fixed, alwaysValid, varianceCut }: Adjusted): string {
  const looks = alwaysValid ? `, ${range(alwaysValid)} for any number of looks` : '';
  return `${number(value)}, ${range(fixed)} for one look${looks}; ${percent(varianceCut)} of the variance is gone`;
}

function cellsOf(comparison: Comparison | undefined): string[] {
  if (!comparison) return ['', '', '', ''];
  const { absolute, direction } = comparison;
  return [number(absolute?.value), range(absolute?.fixed), range(absolute?.alwaysValid), direction];
}

const day = (instantMs: number): string => new Date(instantMs).toISOString().slice(0, 10);
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const number = (value: number | undefined): string => (value === undefined ? '–' : value.toFixed(1));
const range = (interval: Interval | undefined): string =>
  interval ? `${number(interval.lower)} to ${number(interval.upper)}` : '–';
