// A model card: what people are to know of a model before it decides about anyone. Plain JSON. A number comes with its
// interval, or says why there is none; what nobody measured is never left out in silence.
import { z } from 'zod';
import { contentHash } from '../platform/content-hash.ts';
import type { FieldViolation } from '../platform/errors.ts';
import { violationsOf } from '../platform/violations.ts';
import { type Content, type ModelKind, modelKinds } from './model.ts';
import type { Subject } from './rollout.ts';

/** Why there is no number. */
export interface NoFigure {
  readonly value: null;
  readonly reason: string;
}

/** A number with its interval of 95 %. */
export type Figure =
  | {
      readonly value: number;
      readonly low: number;
      readonly high: number;
      readonly rows?: number | undefined;
      readonly people: number;
    }
  | NoFigure;

/** Of predicted rewards, which are of -1 to 1. */
export interface Errors {
  readonly rmse: Figure;
  readonly mae: Figure;
  /** Prediction less reward. */
  readonly meanError: Figure;
}

/** What the model has to be better than. `saved`: how much smaller the model's errors are. */
export interface Baseline extends Errors {
  readonly name: string;
  readonly rmseSaved: Figure;
  readonly maeSaved: Figure;
}

export interface Decile {
  readonly from: number;
  readonly to: number;
  readonly predicted: Figure;
  readonly reward: Figure;
}

export interface Slice {
  readonly slice: string;
  readonly group: string;
  readonly rows: number;
  readonly people: number;
  /** Why there are no numbers: too few people, of whom they would tell. */
  readonly suppressed?: string | undefined;
  readonly rmse?: Figure | undefined;
  readonly mae?: Figure | undefined;
  readonly meanError?: Figure | undefined;
}

/** Of whether a reward is positive. */
export interface Classification {
  readonly logLoss: Figure;
  readonly logLossSaved: Figure;
  readonly auc: Figure;
}

export interface GroupFigure {
  readonly group: string;
  readonly figure: Figure;
}

/** How a measure differs between groups of people. */
export interface Disparity {
  readonly groups: readonly GroupFigure[];
  /** Between the groups where it is highest and lowest. */
  readonly difference: Figure;
  readonly between: readonly [high: string, low: string] | null;
}

export const fairnessMeasures = ['selectionRate', 'reward', 'truePositiveRate', 'falsePositiveRate'] as const;

/** By segment of people. */
export interface Fairness extends Readonly<Record<(typeof fairnessMeasures)[number], Disparity>> {
  readonly segment: string;
  /** Groups of too few people: named, without numbers. */
  readonly suppressed: readonly string[];
}

/** What the policy would have earned for each logged decision, and how much more than what was earned. */
export interface OffPolicy {
  readonly policy: string;
  readonly value: Figure;
  readonly gain: Figure;
  readonly logged: Figure;
  /** Each can forbid to believe the estimate. */
  readonly checks: readonly {
    readonly name: string;
    readonly value: number;
    readonly passes: boolean;
    readonly says: string;
  }[];
}

/** Of people whom the model has not seen. */
export interface Evaluation {
  readonly format: 1;
  /** The artifact that was evaluated. */
  readonly model: string;
  readonly kind: ModelKind;
  readonly rewardVersion: string;
  readonly vectorVersion: string;
  readonly asOf: string | null;
  readonly confidence: 0.95;
  readonly heldOutShare: number;
  readonly minGroupPeople: number;
  readonly rows: number;
  readonly people: number;
  readonly errors: Errors;
  readonly baselines: readonly Baseline[];
  readonly calibration: readonly Decile[] | NoFigure;
  readonly classification: Classification | NoFigure;
  readonly slices: readonly Slice[];
  readonly selectedAbove: number | null;
  readonly fairness: readonly Fairness[];
  readonly offPolicy: OffPolicy;
  readonly notKnown: readonly NotKnown[];
}

/** What the log of decisions says of a policy that was asked about them beside the active one. */
export interface LogEvidence {
  /** What the numbers by group are of: what it would have done about everybody, or did about the people of its canary. */
  readonly source: 'shadow' | 'canary';
  readonly asOf: string;
  /** What it is compared with, as rollouts name it. */
  readonly against: string;
  readonly days: number;
  readonly decisions: number;
  /** Share of decisions, 0 to 1, with the same top tip. */
  readonly agreement: number | null;
  readonly minGroupPeople: number;
  readonly offPolicy: OffPolicy;
  /** Reward per decision less that of the active policy, group by group. */
  readonly fairness: readonly {
    readonly segment: string;
    readonly suppressed: readonly string[];
    readonly gain: readonly GroupFigure[];
  }[];
}

/** One number that the model reads. */
export interface CardInput {
  readonly name: string;
  readonly definition: string;
  readonly unit: string;
  /** What it can be, as the model reads it. */
  readonly low: number;
  readonly high: number;
  /** What the model reads where the value is not known. Null: it is always known. */
  readonly nullFallback: number | null;
  /** An older value is read all the same, and said to be stale. Null: it is as old as the request. */
  readonly maxAgeMs: number | null;
  /** The request, or the events that it is made of. */
  readonly source: string;
}

export type Training =
  | {
      readonly kind: 'trained';
      readonly data: { readonly sha256: string; readonly rows: number; readonly asOf: string };
      /** Of the decisions in it. */
      readonly window: { readonly from: string; readonly to: string };
      readonly people: number;
      /** Share of people whom it has not seen, above 0 and under 1. */
      readonly heldOutShare: number;
      readonly parameters: Readonly<Record<string, string | number | boolean>>;
    }
  /** `by hand`: somebody set the weights. `elsewhere`: what it was trained on is not known here. */
  | { readonly kind: 'by hand' | 'elsewhere'; readonly says: string };

export interface Latency {
  /** What was timed, and on what. */
  readonly of: string;
  readonly calls: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** What the card's reader may look for in vain. */
export interface NotKnown {
  readonly name: string;
  readonly value: null;
  readonly reason: string;
}

export interface ModelCard {
  readonly schema: 1;
  readonly purpose: string;
  /** Who answers for it. */
  readonly owner: string;
  readonly model: {
    /** Of the line of models; of a policy of the build, its name. */
    readonly name: string;
    readonly kind: ModelKind | 'policy';
    readonly use: 'prior' | 'prediction' | 'rules';
    readonly explorer: { readonly name: string; readonly hyperparameters: Readonly<Record<string, number>> };
    /** Of the manifest; of a policy of the build, of its name and version: see `policyHash`. */
    readonly hash: string;
    readonly artifact: Content | null;
    readonly code: string;
    readonly rewardVersion: string;
  };
  readonly inputs: readonly CardInput[];
  readonly training: Training;
  /** Null: there is none. A model needs it. */
  readonly evaluation: Evaluation | null;
  /** Null: there is none. A policy of the build needs it. */
  readonly log: LogEvidence | null;
  readonly latency: Latency | NoFigure;
  /** What it is known to do badly, in sentences. None is without. */
  readonly weaknesses: readonly string[];
  readonly notKnown: readonly NotKnown[];
}

/** What a card is of where there is no manifest: a policy of the build, with all its hyperparameters. */
export const policyHash = ({ policy, version }: Subject): string => contentHash({ policy, version });

/** Of a card as it is. Cards with the same content have the same. */
export const cardHash = (card: ModelCard): string => contentHash(card);

const text = (max: number) =>
  z
    .string('must be a string')
    .min(1, 'must not be empty')
    .max(max, `must have at most ${max} characters`)
    .regex(/^\P{Cc}*$/u, 'must be one line, without control characters');
const word = text(128);
const sentence = text(1_000);
const number = z.number('must be a finite number');
const share = number.min(0, 'must be from 0 to 1').max(1, 'must be from 0 to 1');
const count = z.int('must be a whole number').min(0, 'must not be negative');
const instant = z.iso.datetime({ offset: false, error: 'must be an instant in UTC, as 2026-11-23T08:00:00Z' });
const digest = z.string('must be a string').regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hexadecimal');

const object = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape, 'must be an object');
const list = <Item extends z.ZodType>(item: Item, max = 1_000) =>
  z.array(item, 'must be a list').max(max, `must have at most ${max}`);

const none = object({ value: z.null('must be null'), reason: sentence });
const figure = z.union([
  object({ value: number, low: number, high: number, rows: count.optional(), people: count }).check(
    ({ value: { value, low, high }, issues, ...payload }) => {
      if (low <= value && value <= high) return;
      const message = `is ${value}, outside of its own interval, ${low} to ${high}`;
      issues.push({ code: 'custom', input: payload, path: ['value'], message });
    },
  ),
  none,
]);
const notKnown = object({ name: word, value: z.null('must be null'), reason: sentence });

const errors = { rmse: figure, mae: figure, meanError: figure };
const groups = list(object({ group: word, figure }));
const disparity = object({
  groups,
  difference: figure,
  between: z.tuple([word, word], 'must be two groups, or null').nullable(),
});
const offPolicy = object({
  policy: text(256),
  ...{ value: figure, gain: figure, logged: figure },
  checks: list(object({ name: word, value: number, passes: z.boolean('must be true or false'), says: sentence })),
});
const hyperparameters = z.record(word, number);

const evaluation = object({
  format: z.literal(1, 'must be 1'),
  model: word,
  kind: z.enum(modelKinds, `must be one of ${modelKinds.join(', ')}`),
  ...{ rewardVersion: word, vectorVersion: word, asOf: instant.nullable() },
  confidence: z.literal(0.95, 'must be 0.95'),
  ...{ heldOutShare: share, minGroupPeople: count, rows: count, people: count },
  errors: object(errors),
  baselines: list(object({ name: word, ...errors, rmseSaved: figure, maeSaved: figure })),
  calibration: z.union([list(object({ from: number, to: number, predicted: figure, reward: figure })), none]),
  classification: z.union([object({ logLoss: figure, logLossSaved: figure, auc: figure }), none]),
  slices: list(
    object({
      ...{ slice: word, group: word, rows: count, people: count, suppressed: sentence.optional() },
      ...{ rmse: figure.optional(), mae: figure.optional(), meanError: figure.optional() },
    }),
  ),
  selectedAbove: number.nullable(),
  fairness: list(
    object({
      ...{ segment: word, suppressed: list(word) },
      ...{ selectionRate: disparity, reward: disparity, truePositiveRate: disparity, falsePositiveRate: disparity },
    }),
  ),
  offPolicy,
  notKnown: list(notKnown),
});

const cardSchema = object({
  schema: z.literal(1, 'must be 1'),
  purpose: sentence,
  owner: word,
  model: object({
    name: text(64),
    kind: z.enum([...modelKinds, 'policy'], `must be one of ${modelKinds.join(', ')}, policy`),
    use: z.enum(['prior', 'prediction', 'rules'], 'must be prior, prediction or rules'),
    explorer: object({ name: word, hyperparameters }),
    hash: digest,
    artifact: object({ sha256: digest, bytes: count }).nullable(),
    ...{ code: word, rewardVersion: word },
  }),
  inputs: list(
    object({
      ...{ name: word, definition: sentence, unit: word, low: number, high: number, source: sentence },
      ...{ nullFallback: number.nullable(), maxAgeMs: count.nullable() },
    }),
    1_024,
  ),
  training: z.discriminatedUnion(
    'kind',
    [
      object({
        kind: z.literal('trained'),
        data: object({ sha256: digest, rows: count, asOf: instant }),
        window: object({ from: instant, to: instant }),
        people: count,
        heldOutShare: share,
        parameters: z.record(
          word,
          z.union([z.string(), number, z.boolean()], 'must be a string, a number or a boolean'),
        ),
      }),
      object({ kind: z.enum(['by hand', 'elsewhere']), says: sentence }),
    ],
    'must be of kind trained, by hand or elsewhere',
  ),
  evaluation: evaluation.nullable(),
  log: object({
    source: z.enum(['shadow', 'canary'], 'must be shadow or canary'),
    ...{ asOf: instant, against: word, days: count, decisions: count, agreement: share.nullable() },
    ...{ minGroupPeople: count, offPolicy },
    fairness: list(object({ segment: word, suppressed: list(word), gain: groups })),
  }).nullable(),
  latency: z.union([object({ of: sentence, calls: count, p50Ms: number, p95Ms: number, p99Ms: number }), none]),
  weaknesses: list(sentence, 100).min(1, 'must say what it does badly: no model is without'),
  notKnown: list(notKnown, 100),
});

/** The form of a card, as it is published in `card.schema.json`. That a number lies in its own interval it cannot say. */
export function publishedCardSchema(): object {
  return { title: 'Model card of oO ml, schema 1', ...z.toJSONSchema(cardSchema, { reused: 'ref' }) };
}

export type ReadCard =
  | { readonly kind: 'card'; readonly card: ModelCard }
  | { readonly kind: 'refused'; readonly violations: readonly FieldViolation[] };

/** Reads what somebody says is a card. Every problem of its form is named under its full path. */
export function readCard(input: unknown): ReadCard {
  const result = cardSchema.safeParse(input);
  if (result.success) return { kind: 'card', card: result.data };
  const issues = result.error.issues.flatMap((issue) => closest(issue));
  return { kind: 'refused', violations: violationsOf(new z.core.$ZodRealError(issues)) };
}

/** Of what fits none of several forms, the problems with the form that it comes closest to. */
function closest(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
  const forms = issue.errors.map((each) => each.flatMap((one) => closest(one)));
  const [nearest = []] = forms.toSorted((a, b) => a.length - b.length);
  return nearest.map((each) => ({ ...each, path: [...issue.path, ...each.path] }));
}
