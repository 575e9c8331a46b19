import { type DescMessage, fromJson, type JsonValue, type MessageShape } from '@bufbuild/protobuf';
import { z } from 'zod';
import { noBuckets } from '../../features/buckets.ts';
import { assembleContext, type TipContext } from '../../features/context.ts';
import { readProfile } from '../../features/profile.ts';
import { redact } from '../../features/redact.ts';
import { ProfileFeaturesSchema } from '../../gen/proto/oo/features/v1/features_pb.ts';
import { type PromptContext, PromptContextSchema } from '../../gen/proto/oo/serving/v1/context_pb.ts';
import { contentHash } from '../../platform/content-hash.ts';
import { createValidator } from '../../platform/validator.ts';
import { checkForm, RefusedLine, readLines } from './lines.ts';

/** A moment of a person, kept to ask about it again. */
export interface StoredContext {
  readonly id: string;
  /** SHA-256 of the line: an answer recorded for another one under the same id is none for this. */
  readonly hash: string;
  readonly context: TipContext;
  /** How many tips are asked for. */
  readonly n: number;
}

const lineSchema = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  at: z.iso.datetime(),
  n: z.int().min(1).max(10).default(3),
  context: z.json(),
  profile: z.json().optional(),
});

/**
 * Reads a line for each context: `id`, `at` (the instant that it is seen from), `context` and `profile` (a `PromptContext`
 * and, if any, `ProfileFeatures`, in protojson), `n`. They become what `Generate` would make of them. Throws a
 * `RefusedLine`, also where a text holds what `redact` takes out: such a thing should not even be in a file.
 */
export function readContexts(text: string): readonly StoredContext[] {
  const ids = new Set<string>();
  const contexts = readLines(text, (line) => {
    const { id, at, n, ...sent } = checkForm(lineSchema, line);
    if (ids.has(id)) throw new RefusedLine(`there is another context "${id}"`);
    ids.add(id);
    const request = readMessage('context', PromptContextSchema, sent.context);
    const supplied = readMessage('profile', ProfileFeaturesSchema, sent.profile ?? {});
    checkRedacted(request);
    const nowMs = Date.parse(at);
    return {
      id,
      hash: contentHash({ id, at, n, ...sent }),
      context: assemble(request, readProfile({ supplied, buckets: noBuckets }, nowMs), nowMs),
      n,
    };
  });
  if (contexts.length === 0) throw new RefusedLine('there is no context');
  return contexts;
}

const validator = createValidator();

function readMessage<Desc extends DescMessage>(name: string, schema: Desc, json: JsonValue): MessageShape<Desc> {
  const message = parseMessage(name, schema, json);
  const { kind, violations = [] } = validator.validate(schema, message);
  if (kind === 'valid') return message;
  throw new RefusedLine(`${name}: ${violations[0]?.toString() ?? 'breaks the rules of the contract'}`);
}

function parseMessage<Desc extends DescMessage>(name: string, schema: Desc, json: JsonValue): MessageShape<Desc> {
  try {
    return fromJson(schema, json);
  } catch {
    throw new RefusedLine(`${name} is no ${schema.typeName} in protojson`); // protobuf's own message quotes the value
  }
}

function checkRedacted({ signals, recentTips }: PromptContext): void {
  const titles = signals.flatMap(({ detail }) =>
    detail.case === 'health' || !detail.value ? [] : [detail.value.title],
  );
  const isOpen = [...titles, ...recentTips.map(({ content }) => content)].some((text) => redact(text) !== text);
  if (isOpen) throw new RefusedLine('a text holds an e-mail address, a phone number, a key or the like: take it out');
}

function assemble(...args: Parameters<typeof assembleContext>): TipContext {
  try {
    return assembleContext(...args);
  } catch (error) {
    throw new RefusedLine(`context: ${error instanceof Error ? error.message : String(error)}`);
  }
}
