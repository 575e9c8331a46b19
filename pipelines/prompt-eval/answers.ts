import { z } from 'zod';
import { LlmError, type LlmGateway, type LlmUsage, usageOf } from '../../generation/gateway/gateway.ts';
import { costOf, type Price } from '../../generation/gateway/price.ts';
import type { ModelPrompt } from '../../generation/prompts/prompt.ts';
import { type Question, toLlmRequest } from '../../generation/question.ts';
import { contentHash } from '../../platform/content-hash.ts';
import type { StoredContext } from './contexts.ts';
import { checkForm, RefusedLine, readLines } from './lines.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().min(0).max(0xffff_ffff);

const answerSchema = z.strictObject({
  version: z.string(),
  promptHash: sha256,
  context: z.string(),
  contextHash: sha256,
  /** As it calls itself. */
  model: z.string().regex(/^[ -~]{1,128}$/),
  /** What it said. Null: there is no answer. */
  text: z.string().max(1_048_576).nullable(),
  /** Why there is none. */
  failure: z.enum(['timeout', 'unavailable', 'bad_output', 'refused', 'budget']).nullable(),
  ms: z.number().min(0),
  promptTokens: count,
  completionTokens: count,
  /** Null: its price is not known. */
  microdollars: z.int().min(0).nullable(),
});

/** What a model said to one version about one context, and what that took. A line of a recording. */
export type Answer = z.infer<typeof answerSchema>;

export type AskVersion = (prompt: ModelPrompt, stored: StoredContext) => Promise<Answer>;

/** The question of a version about a context. Its fence is always the same, so that a recording can be judged again. */
export function questionOf(prompt: ModelPrompt, { hash, context, n }: StoredContext): Question {
  return { prompt, context, n, nonce: contentHash([prompt.hash, hash]).slice(0, 32) };
}

/** Answers out of a recording. Throws a `RefusedLine` where it is broken, says something twice, or is of other texts. */
export function readAnswers(text: string): AskVersion {
  const answers = new Map<string, Answer>();
  const keyOf = (version: string, context: string) => JSON.stringify([version, context]);
  readLines(text, (line) => {
    const answer = checkForm(answerSchema, line);
    const key = keyOf(answer.version, answer.context);
    if ((answer.text === null) === (answer.failure === null))
      throw new RefusedLine('needs a text or a failure, not both');
    if (answers.has(key))
      throw new RefusedLine(`there is another answer to ${answer.version} about "${answer.context}"`);
    answers.set(key, answer);
  });
  return async ({ version, hash }, stored) => {
    const answer = answers.get(keyOf(version, stored.id));
    const about = `${version} about "${stored.id}"`;
    if (!answer) throw new RefusedLine(`has no answer to ${about}`);
    if (answer.promptHash !== hash)
      throw new RefusedLine(`its answer to ${about} is to another text of the prompt, not ${hash}: record it anew`);
    if (answer.contextHash !== stored.hash)
      throw new RefusedLine(`its answer to ${about} is about another context, not ${stored.hash}: record it anew`);
    return answer;
  };
}

export interface AskOptions {
  readonly gateway: LlmGateway;
  readonly price: Price | undefined;
  readonly timeoutMs: number;
  /** Milliseconds of a clock that never runs back. */
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Answers from a model. It is not asked to repair what it said: what is judged is what the prompt makes it say. */
export function askModel({ gateway, price, timeoutMs, now, signal }: AskOptions): AskVersion {
  return async (prompt, stored) => {
    const about = {
      version: prompt.version,
      promptHash: prompt.hash,
      context: stored.id,
      contextHash: stored.hash,
    };
    const startMs = now();
    const took = (usage: LlmUsage) => ({
      ms: Math.round((now() - startMs) * 10) / 10,
      promptTokens: usage.promptTokens,
      completionTokens: usage.completionTokens,
      microdollars: price ? costOf(usage, price) : null,
    });
    try {
      const answer = await gateway.complete(toLlmRequest(questionOf(prompt, stored)), { signal, timeoutMs });
      return { ...about, model: answer.model, text: answer.text, failure: null, ...took(answer) };
    } catch (error) {
      if (!(error instanceof LlmError)) throw error;
      return { ...about, model: gateway.model, text: null, failure: error.kind, ...took(usageOf(error)) };
    }
  };
}
