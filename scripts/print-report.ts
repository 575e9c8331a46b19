import type { Example, Report } from '../pipelines/verify.ts';
import { bold, dim, green, say, table } from './demo/print.ts';

/** What a verification found, for a person. */
export function printReport(report: Report): void {
  const { counts, examples, tooOld, withoutPerson, notReplayed } = report;
  if (counts.length > 0) {
    table(
      ['part', 'name', 'match', 'mismatch', 'missing', 'extra'],
      counts.map(({ part, name, match, mismatch, missing, extra }) => [
        part,
        name,
        ...[match, mismatch, missing, extra].map(String),
      ]),
    );
  }
  say(`   ${verdict(report)}`);
  if (withoutPerson > 0) say(dim(`   ${withoutPerson} of them had read nothing of the person, as they say`));
  if (tooOld > 0) say(`   ${tooOld} more are no longer verifiable: their events were in a month that was dropped`);
  for (const [policy, count] of notReplayed)
    say(`   ${count} by ${policy}, which this build does not have: not redrawn`);
  if (examples.length > 0) say('   The first differences:');
  for (const example of examples) say(`   ${described(example)}`);
}

/** Says 100 % only if all are. */
function verdict({ decisions, people, equal }: Report): string {
  if (decisions === 0) return 'There is no decision to verify.';
  const share = equal === decisions ? '100' : (Math.floor((equal / decisions) * 10_000) / 100).toFixed(2);
  const about = people === 1 ? '1 person' : `${people} people`;
  const text = `${equal} of ${decisions} decisions about ${about}, recomputed from events alone: ${share} % bit-equal`;
  return equal === decisions ? green(text) : bold(text);
}

function described({ decisionId, part, name, verdict, logged, recomputed }: Example): string {
  return `${decisionId}  ${part} ${name}: ${verdict}, logged ${asText(logged)}, recomputed ${asText(recomputed)}`;
}

function asText(value: unknown): string {
  const text = JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each)) ?? 'nothing';
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}
