import { type Interval, percentileInterval, resample } from '../../experiments/off-policy/intervals.ts';
import type { DropReason } from '../../generation/accept-tips.ts';
import type { LlmErrorKind } from '../../generation/gateway/gateway.ts';
import type { ModelPrompt } from '../../generation/prompts/prompt.ts';
import { checkAnswer } from '../../generation/question.ts';
import { type Answer, questionOf } from './answers.ts';
import type { StoredContext } from './contexts.ts';

/** One answer as the service would judge it. */
export interface Judged {
  readonly answer: Answer;
  readonly isValid: boolean;
  /** How many tips were asked for. */
  readonly asked: number;
  /** How many were looked at: as many as it took to accept those that were asked for. */
  readonly looked: number;
  readonly accepted: number;
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  /** The length of each tip that was written, in characters. */
  readonly chars: readonly number[];
}

/** By the same code that judges what is served. */
export function judge(answer: Answer, prompt: ModelPrompt, stored: StoredContext): Judged {
  const checked = answer.text === null ? undefined : checkAnswer(answer.text, questionOf(prompt, stored));
  const { written = [], tips = [], dropped = {} } = checked ?? {};
  const looked = tips.length + Object.values(dropped).reduce((sum, count) => sum + count, 0);
  const chars = written.map(({ content }) => [...content].length);
  const isValid = checked !== undefined;
  return { answer, isValid, asked: stored.n, looked, accepted: tips.length, dropped, chars };
}

const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const hasText = ({ answer }: Judged) => Number(answer.text !== null);

/** Each is the sum of the first number over all contexts, divided by the sum of the second. */
const metrics = {
  valid: ({ isValid }) => [Number(isValid), 1],
  grounded: ({ looked, dropped }) => [looked - (dropped.ungrounded ?? 0), looked],
  accepted: ({ accepted, asked }) => [accepted, asked],
  chars: ({ chars }) => [total(chars), chars.length],
  ms: (judged) => [hasText(judged) * judged.answer.ms, hasText(judged)],
  promptTokens: ({ answer }) => [answer.promptTokens, 1],
  completionTokens: ({ answer }) => [answer.completionTokens, 1],
  microdollars: ({ answer }) => [answer.microdollars ?? Number.NaN, 1],
} as const satisfies Record<string, (judged: Judged) => readonly [number, number]>;

export type Metric = keyof typeof metrics;
export const metricNames = Object.keys(metrics) as readonly Metric[];

export interface VersionReport {
  readonly version: string;
  readonly promptHash: string;
  readonly models: readonly string[];
  readonly contexts: number;
  /**
   * - `valid`: contexts whose answer is of the agreed form; an answer that never came is not.
   * - `grounded`: of the tips that were looked at, those not dropped as ungrounded.
   * - `accepted`: of the tips that were asked for, those that may be shown.
   *
   * Undefined: there is nothing to take it of, or a price is not known.
   */
  readonly values: Readonly<Record<Metric, number | undefined>>;
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  readonly failures: Readonly<Partial<Record<LlmErrorKind, number>>>;
  readonly charsMax: number;
  /** Nearest rank. Undefined: there is no answer. */
  readonly msP95: number | undefined;
}

export function reportOf({ version, hash }: ModelPrompt, judged: readonly Judged[]): VersionReport {
  const ms = judged.flatMap((each) => (hasText(each) ? [each.answer.ms] : [])).toSorted((a, b) => a - b);
  const failures = judged.flatMap(({ answer }) => (answer.failure ? [{ [answer.failure]: 1 }] : []));
  return {
    version,
    promptHash: hash,
    models: [...new Set(judged.map(({ answer }) => answer.model))].sort(),
    contexts: judged.length,
    values: Object.fromEntries(metricNames.map((name) => [name, averageOf(name, judged)])) as VersionReport['values'],
    dropped: sumOf(judged.map(({ dropped }) => dropped)),
    failures: sumOf(failures),
    charsMax: Math.max(0, ...judged.flatMap(({ chars }) => chars)),
    msP95: ms[Math.ceil(ms.length * 0.95) - 1],
  };
}

function averageOf(metric: Metric, judged: readonly Judged[]): number | undefined {
  const parts = judged.map((each) => metrics[metric](each));
  return ratio(total(parts.map(([part]) => part)), total(parts.map(([, whole]) => whole)));
}

export interface Difference {
  /** The first less the second. Undefined: one of them has no value. */
  readonly value: number | undefined;
  /** 95 %, percentiles of a bootstrap over contexts. Undefined: some draws have no value. */
  readonly interval: Interval | undefined;
}

const replicates = 2_000;

/** How the first version differs from the second on the same contexts, in the same order. */
export function differencesOf(
  first: readonly Judged[],
  second: readonly Judged[],
): Readonly<Record<Metric, Difference>> {
  const compare = (metric: Metric): Difference => {
    const [a, b] = [averageOf(metric, first), averageOf(metric, second)];
    if (a === undefined || b === undefined) return { value: undefined, interval: undefined };
    const pairs = first.map((one, i) => {
      const other = second[i];
      return Float64Array.from([...metrics[metric](one), ...(other ? metrics[metric](other) : [0, 0])]);
    });
    const drawn = [...resample(pairs, replicates, 1n)].map(
      ([partA = 0, wholeA = 0, partB = 0, wholeB = 0]) => partA / wholeA - partB / wholeB,
    );
    const isWhole = drawn.every(Number.isFinite);
    return { value: a - b, interval: isWhole ? percentileInterval(Float64Array.from(drawn), 0.95) : undefined };
  };
  return Object.fromEntries(metricNames.map((name) => [name, compare(name)])) as Record<Metric, Difference>;
}

/** What a version must reach. Shares. */
export interface Limits {
  readonly minValid?: number | undefined;
  readonly minGrounded?: number | undefined;
  readonly minAccepted?: number | undefined;
  /** How much less than the other version it may be, in each of the three. */
  readonly margin: number;
}

/** Why a version does not pass. Where there is nothing to take a share of, it is none. */
export function shortcomings(
  report: VersionReport,
  other: VersionReport | undefined,
  { minValid, minGrounded, minAccepted, margin }: Limits,
): readonly string[] {
  const { version, values } = report;
  // Whatever the limits: nothing was looked at, or there is nothing to be better than.
  const silent = [report, ...(other ? [other] : [])].filter(isSilent);
  if (silent.length > 0) return silent.map((each) => `${each.version}: there is not one answer`);
  const least = { valid: minValid, grounded: minGrounded, accepted: minAccepted };
  return (['valid', 'grounded', 'accepted'] as const).flatMap((name) => {
    const value = values[name] ?? 0;
    const min = least[name];
    const before = other?.values[name] ?? 0;
    return [
      ...(min !== undefined && value < min ? [`${version}: ${name} ${percent(value)}, less than ${percent(min)}`] : []),
      ...(value < before - margin - rounding
        ? [
            `${version}: ${name} ${percent(value)}, more than ${percent(margin)} less than the ${percent(before)} of ${other?.version}`,
          ]
        : []),
    ];
  });
}

function isSilent({ contexts, failures }: VersionReport): boolean {
  return contexts > 0 && Object.values(failures).reduce((sum, count) => sum + count, 0) === contexts;
}

/** 0.8 - 0.1 is a little more than 0.7. */
const rounding = 1e-9;

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

function ratio(part: number, whole: number): number | undefined {
  const value = part / whole;
  return Number.isFinite(value) ? value : undefined;
}

function sumOf<Name extends string>(
  counts: readonly Readonly<Partial<Record<Name, number>>>[],
): Readonly<Partial<Record<Name, number>>> {
  const sums: Partial<Record<Name, number>> = {};
  for (const each of counts)
    for (const [name, count] of Object.entries(each) as [Name, number][]) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}
