import type { Difference, Metric, VersionReport } from '../pipelines/prompt-eval/evaluate.ts';
import { bold, dim, green, say, table } from './demo/print.ts';

interface Other {
  readonly report: VersionReport;
  readonly differences: Readonly<Record<Metric, Difference>>;
}

/** What a version makes of the contexts, beside the other one if there is one. */
export function printPromptEval(first: VersionReport, other: Other | undefined, found: readonly string[]): void {
  const reports = other ? [first, other.report] : [first];
  say(`   ${first.contexts} contexts`);
  for (const { version, promptHash, models } of reports)
    say(`   ${bold(version)} ${promptHash.slice(0, 12)}, model ${models.join(', ')}`);
  say();
  const plain = (name: string, cell: (report: VersionReport) => string) => [
    name,
    ...reports.map(cell),
    ...(other ? ['', ''] : []),
  ];
  const measured = (name: string, metric: Metric, { write, writeChange = write }: Writer) => [
    name,
    ...reports.map(({ values }) => orDash(values[metric], write)),
    ...(other ? changeCells(other.differences[metric], writeChange) : []),
  ];
  const rows = [
    measured('valid', 'valid', shares),
    measured('grounded', 'grounded', shares),
    measured('accepted', 'accepted', shares),
    measured('characters of a tip', 'chars', whole),
    plain('longest tip', ({ charsMax }) => String(charsMax)),
    measured('ms', 'ms', whole),
    plain('ms, 95th percentile', ({ msP95 }) => orDash(msP95, whole.write)),
    measured('prompt tokens', 'promptTokens', whole),
    measured('completion tokens', 'completionTokens', whole),
    measured('micro-dollars', 'microdollars', whole),
  ];
  table(['', ...reports.map(({ version }) => version), ...(other ? ['difference', '95 % interval'] : [])], rows);
  say();
  for (const { version, dropped, failures } of reports) {
    say(`   ${version} dropped: ${counts(dropped)}`);
    if (Object.keys(failures).length > 0) say(`   ${version} no answer: ${counts(failures)}`);
  }
  say();
  if (found.length === 0) say(`   ${green('passes')}`);
  for (const each of found) say(`   ${bold('does not pass')}: ${each}`);
  say(
    dim(
      '   valid: of all contexts; grounded: of the tips looked at; accepted: of the tips asked for; the rest are means',
    ),
  );
  if (other) say(dim('   interval: bootstrap over contexts, the same for both versions'));
}

interface Writer {
  readonly write: (value: number) => string;
  readonly writeChange?: (value: number) => string;
}

const shares: Writer = {
  write: (share) => `${(share * 100).toFixed(1)} %`,
  writeChange: (share) => `${(share * 100).toFixed(1)}`,
};
const whole: Writer = { write: (value) => String(Math.round(value)) };

function changeCells({ value, interval }: Difference, write: (value: number) => string): string[] {
  return [orDash(value, write), interval ? `${write(interval.low)} to ${write(interval.high)}` : '–'];
}

function orDash(value: number | undefined, write: (value: number) => string): string {
  return value === undefined ? '–' : write(value);
}

function counts(all: Readonly<Record<string, number>>): string {
  return (
    Object.entries(all)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'none'
  );
}
