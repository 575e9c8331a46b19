import { z } from 'zod';
import type { TipKindName } from '../gen/proto/oo/contract.ts';

/** `GenerateRequest.n` is at most this. */
export const tipsMax = 10;
export const contentChars = { least: 3, most: 280 } as const;

export const tipKinds = ['task', 'advice', 'insight', 'reminder'] as const satisfies readonly TipKindName[];

/** A tip before it has an id. */
export interface TipDraft {
  readonly content: string;
  readonly kind: TipKindName;
  readonly rationale: string;
  readonly signalIds: readonly string[];
  readonly confidence?: number;
}

const line = z.string().overwrite(toLine);

const tip = z.object({
  content: line
    .min(contentChars.least)
    .max(contentChars.most)
    .describe(`The tip, ${contentChars.least} to ${contentChars.most} characters`),
  kind: z.enum(tipKinds),
  rationale: line.max(1000).nullish().describe('Why this tip and why now, one sentence'),
  signal_ids: z.array(z.string().max(128)).max(32).nullish().describe('The ids of the signals it rests on'),
  confidence: z.number().min(0).max(1).nullish().describe('How sure you are that it helps, 0 to 1'),
});

const output = z.object({ tips: z.array(tip).min(1) });

/**
 * What a model is asked for, as JSON Schema: the part of the language that every provider takes in strict mode. All
 * properties are required there and bounds are unknown, so the bounds stand in the descriptions and are checked here.
 */
export const outputSchema: Readonly<Record<string, unknown>> = toStrictSchema();
export const outputSchemaName = 'tips';

/**
 * Reads a model's answer: JSON, bare or in a code fence. Undefined if any part of it breaks the agreed form, since what
 * is left of a broken answer says little about the prompt. Missing optional parts and unknown ones are forgiven, repeated
 * tips and those beyond `n` are dropped.
 */
export function parseOutput(text: string, n: number): readonly TipDraft[] | undefined {
  const parsed = output.safeParse(parseJson(stripFence(text)));
  if (!parsed.success) return undefined;
  return withoutRepeats(parsed.data.tips.map(toDraft)).slice(0, n);
}

/** One tip of an answer. Undefined: it breaks the agreed form. */
export function parseTip(value: unknown): TipDraft | undefined {
  const parsed = tip.safeParse(value);
  return parsed.success ? toDraft(parsed.data) : undefined;
}

/** The same tips without those that say, but for case, spacing and punctuation, what an earlier one says. */
export function withoutRepeats(tips: readonly TipDraft[]): readonly TipDraft[] {
  const first = new Map<string, TipDraft>();
  for (const tip of tips) if (!first.has(gist(tip.content))) first.set(gist(tip.content), tip);
  return [...first.values()];
}

/** What two texts that read the same have in common. */
export function gist(content: string): string {
  const words = content
    .normalize('NFKC')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u);
  return words.join(' ').trim() || content;
}

/** One line of well-formed text without control characters, and without those that hide or turn around what is read. */
export function toLine(text: string): string {
  const words = text
    .toWellFormed()
    .replace(unseen, '')
    .split(/[\s\p{Cc}]+/u);
  return words.join(' ').trim();
}

/** Marks of direction, zero-width spaces, tags and the like. The joiners stay: Persian, Hindi and emoji are written with them. */
const unseen =
  /\u034f|\u17b4|\u17b5|[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}]/gu;

function toDraft({ content, kind, rationale, signal_ids, confidence }: z.infer<typeof tip>): TipDraft {
  const draft = { content, kind, rationale: rationale ?? '', signalIds: [...new Set(signal_ids)] };
  return typeof confidence === 'number' ? { ...draft, confidence } : draft;
}

/** No pattern looks for the end: models write blank lines until they may write no more, on which one would try for hours. */
function stripFence(text: string): string {
  const trimmed = text.trim();
  const [opening] = /^```(?:json)?\s/i.exec(trimmed) ?? [];
  return opening && trimmed.endsWith('```') ? trimmed.slice(opening.length, -3) : text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toStrictSchema(): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(output, {
    override: ({ jsonSchema }) => {
      if (jsonSchema.properties) jsonSchema.required = Object.keys(jsonSchema.properties);
      for (const bound of ['minLength', 'maxLength', 'minItems', 'maxItems', 'minimum', 'maximum'] as const) {
        delete jsonSchema[bound];
      }
    },
  });
  return schema;
}
