// How good predictions are, and how sure that is. Pure. People are independent of each other, the rows of one are not: an
// interval comes from how far each person moves a number, to first order (its influence; Huber, Robust Statistics, 1981).
import { studentQuantile } from '../../experiments/analysis/distributions.ts';
import { clusteredError } from '../../experiments/off-policy/intervals.ts';
import type { Disparity, Figure } from '../../registry/card.ts';

/** A figure that is still to be compared with others: what each person does to it. Undefined: it cannot be computed. */
export interface Estimated {
  readonly value: number;
  /** By the number of the person, 0 for whoever has no part in it. */
  readonly influences: Float64Array;
  readonly rows: number;
  readonly people: number;
}

/** Rows of a sample: numbers of rows, and of the person of each row of the sample. */
export interface Part {
  readonly rows: Int32Array;
  readonly personOf: Int32Array;
  /** In the whole sample. */
  readonly people: number;
}

export function partOf(part: Part, isIn: (row: number) => boolean): Part {
  return { ...part, rows: part.rows.filter(isIn) };
}

export function peopleIn({ rows, personOf, people }: Part): number {
  const isIn = new Uint8Array(people);
  for (const row of rows) isIn[personOf[row] ?? 0] = 1;
  return isIn.reduce((sum, each) => sum + each, 0);
}

/** The mean of a value over rows. */
export function meanOf(part: Part, numberOf: (row: number) => number): Estimated | undefined {
  const { rows, personOf } = part;
  if (rows.length === 0) return undefined;
  let total = 0;
  for (const row of rows) total += numberOf(row);
  const value = total / rows.length;
  const influences = new Float64Array(part.people);
  for (const row of rows) {
    const person = personOf[row] ?? 0;
    influences[person] = (influences[person] ?? 0) + (numberOf(row) - value) / rows.length;
  }
  return { value, influences, rows: rows.length, people: peopleIn(part) };
}

/** The root of a mean, by the delta method. */
export function rootOf(mean: Estimated | undefined): Estimated | undefined {
  if (!mean) return undefined;
  const value = Math.sqrt(mean.value);
  return { ...mean, value, influences: mean.influences.map((each) => (value === 0 ? 0 : each / (2 * value))) };
}

/** Of two figures over the same people, who may be in both. */
export function differenceOf(a: Estimated | undefined, b: Estimated | undefined): Estimated | undefined {
  if (!a || !b) return undefined;
  const influences = a.influences.map((each, person) => each - (b.influences[person] ?? 0));
  const people = Math.min(a.people, b.people);
  return { value: a.value - b.value, influences, rows: Math.min(a.rows, b.rows), people };
}

/**
 * The area under the ROC curve: the probability that a row that is positive has the higher score of two, ties half. With
 * the variance of placements by person (DeLong et al., Biometrics 1988; Obuchowski, Biometrics 1997).
 */
export function areaUnderCurve(
  part: Part,
  scoreOf: (row: number) => number,
  isPositive: (row: number) => boolean,
): Estimated | undefined {
  const sorted = part.rows.toSorted((a, b) => scoreOf(a) - scoreOf(b));
  const positives = sorted.reduce((sum, row) => sum + (isPositive(row) ? 1 : 0), 0);
  const others = sorted.length - positives;
  if (positives === 0 || others === 0) return undefined;
  /** Of each sorted row, the share of the other class that it is on the right side of. */
  const placements = new Float64Array(sorted.length);
  let [positivesBelow, othersBelow] = [0, 0];
  for (let start = 0; start < sorted.length; ) {
    let end = start;
    let positivesHere = 0;
    const score = scoreOf(sorted[start] ?? 0);
    for (; end < sorted.length && scoreOf(sorted[end] ?? 0) === score; end++)
      if (isPositive(sorted[end] ?? 0)) positivesHere++;
    const othersHere = end - start - positivesHere;
    for (let i = start; i < end; i++) {
      placements[i] = isPositive(sorted[i] ?? 0)
        ? (othersBelow + othersHere / 2) / others
        : (positives - positivesBelow - positivesHere / 2) / positives;
    }
    positivesBelow += positivesHere;
    othersBelow += othersHere;
    start = end;
  }
  let value = 0;
  for (const [i, row] of sorted.entries()) if (isPositive(row)) value += (placements[i] ?? 0) / positives;
  const influences = new Float64Array(part.people);
  for (const [i, row] of sorted.entries()) {
    const person = part.personOf[row] ?? 0;
    const own = ((placements[i] ?? 0) - value) / (isPositive(row) ? positives : others);
    influences[person] = (influences[person] ?? 0) + own;
  }
  return { value, influences, rows: sorted.length, people: peopleIn(part) };
}

/** With fewer people, an interval by person says nothing: the same number as for an estimate from a log. */
export const peopleMin = 30;

/**
 * The interval takes the quantile of Student's distribution for so many people, for one of `comparisons` that are all to
 * hold at once (Bonferroni).
 */
export function figureOf(estimated: Estimated | undefined, whyNot: string, comparisons = 1): Figure {
  if (!estimated) return { value: null, reason: whyNot };
  const { value, influences, rows, people } = estimated;
  if (people < peopleMin)
    return {
      value: null,
      reason: `${people} ${people === 1 ? 'person' : 'people'}, and ${peopleMin} are needed for an interval`,
    };
  const own = influences.filter((influence) => influence !== 0);
  // people without influence are people too
  const error = clusteredError([...own, ...new Array<number>(Math.max(0, people - own.length)).fill(0)]);
  if (!Number.isFinite(value) || !Number.isFinite(error)) return { value: null, reason: 'the number is not finite' };
  const halfWidth = studentQuantile(1 - 0.025 / comparisons, people - 1) * error;
  return { value, low: value - halfWidth, high: value + halfWidth, rows, people };
}

/** The middle of values: of an even number, the mean of the two in the middle. NaN where there are none. */
export function medianOf(values: Float64Array): number {
  const sorted = values.toSorted();
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export interface Named {
  readonly group: string;
  readonly part: Part;
}

/**
 * How a measure differs between groups of people. The interval of the difference holds for every two groups at once, so that
 * it may be read although the two were picked after looking.
 */
export function disparityOf(groups: readonly Named[], measure: (part: Part) => Estimated | undefined): Disparity {
  const measured = groups.map(({ group, part }) => ({ group, estimated: measure(part) }));
  const known = measured.flatMap(({ group, estimated }) =>
    estimated && estimated.people >= peopleMin ? [{ group, estimated }] : [],
  );
  const figures = measured.map(({ group, estimated }) => ({ group, figure: figureOf(estimated, 'no such rows') }));
  const sorted = known.toSorted((a, b) => b.estimated.value - a.estimated.value);
  const [high, low] = [sorted[0], sorted.at(-1)];
  if (!high || !low || high === low)
    return {
      groups: figures,
      difference: { value: null, reason: 'fewer than two groups are large enough' },
      between: null,
    };
  const pairs = (known.length * (known.length - 1)) / 2;
  const difference = figureOf(differenceOf(high.estimated, low.estimated), 'no such rows', pairs);
  return { groups: figures, difference, between: [high.group, low.group] };
}
