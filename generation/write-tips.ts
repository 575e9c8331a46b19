import type { TipContext } from '../features/context.ts';
import type { DegradationName, TipSourceName } from '../gen/proto/oo/contract.ts';
import { contentHash } from '../platform/content-hash.ts';
import type { AcceptedTips, DroppedTips } from './accept-tips.ts';
import { fallbackTips } from './fallback.ts';
import { type LlmAnswer, LlmError, type LlmErrorKind, type LlmGateway, usageOf, within } from './gateway/gateway.ts';
import { type Author, type Given, type Hearing, hearTips } from './hear-tips.ts';
import { parseOutput, type TipDraft } from './output.ts';
import type { ModelPrompt, Prompt, TemplatePrompt } from './prompts/prompt.ts';
import { checkAnswer, toLlmRequest } from './question.ts';

/** Kept back from the deadline, so that there is time for the templates and for the caller to answer, also when busy. */
const reserve = { share: 0.1, leastMs: 120, mostMs: 250 } as const;
/** A model that has less time than this is not asked. */
const modelMsMin = 50;
/** No model is waited for longer, however far the deadline. */
const modelMsMax = 60_000;

export interface WriteTipsRequest {
  readonly prompt: Prompt;
  readonly fallbackPrompt: TemplatePrompt;
  readonly context: TipContext;
  /** How many tips, 1 to 10. */
  readonly n: number;
  /** The id of the tip at an index of the answer. */
  readonly tipId: (index: number) => string;
  /** Whom they are for, as an opaque id: budgets and caches go by it, no model sees it. Unset: nobody. */
  readonly person?: string;
  /** 16 to 64 random letters and digits, new for every request. */
  readonly nonce: string;
  /** The answer is there this many milliseconds from now. */
  readonly deadlineMs: number;
  /** Ends the waiting for a model; the answer is then templates, or what was given to `onTip`. */
  readonly signal: AbortSignal;
  /**
   * Gets each tip as soon as it is complete, in the order of the answer; the model is then asked for a stream. What was
   * given away stays: the answer holds exactly that, also where the model failed after it. Unset: nobody hears before.
   */
  readonly onTip?: ((tip: WrittenTip, by: WrittenBy) => void) | undefined;
}

/** What wrote a tip, as in the whole answer. */
export type WrittenBy = Pick<WrittenTips, 'model' | 'promptVersion'>;

export interface WriteTipsDeps {
  /** Undefined: no language model is configured. */
  readonly gateway: LlmGateway | undefined;
}

export type GenerateDegradation = Extract<DegradationName, `llm_${string}`>;

export interface WrittenTip extends TipDraft {
  readonly id: string;
  readonly source: Extract<TipSourceName, 'llm' | 'fallback'>;
}

/** Tips, and what truly wrote them. */
export interface WrittenTips {
  /** 1 to `n`; exactly `n` where templates wrote them. */
  readonly tips: readonly WrittenTip[];
  /** The model that wrote them. Empty: none did. */
  readonly model: string;
  /** The model that was asked, whether or not it wrote them. Empty: none was. */
  readonly askedModel: string;
  /** The version that wrote them, after any fallback. */
  readonly promptVersion: string;
  readonly promptHash: string;
  /** The version that was resolved, before any fallback. */
  readonly requestedPromptVersion: string;
  /** Tokens that were spent, also on an answer that was of no use. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly degradations: readonly GenerateDegradation[];
  /** Why no model wrote them, or not as many as asked, for the log: without any text of prompt or answer. */
  readonly failure: string | undefined;
  /** How many of the model's tips were not accepted, by reason. */
  readonly dropped: DroppedTips;
}

/**
 * Writes up to `n` tips: with the language model if it gives a good answer in time, with templates in every other case.
 * Never rejects because of the model, and answers within the deadline whatever the model does.
 */
export async function writeTips(request: WriteTipsRequest, { gateway }: WriteTipsDeps): Promise<WrittenTips> {
  const heard: WrittenTip[] = [];
  const written = await write(request, gateway, heard);
  for (const tip of written.tips.slice(heard.length)) request.onTip?.(tip, written);
  return written;
}

/** Those tips that a model's listener gets go to `heard`, and are then all that is written. */
async function write(
  request: WriteTipsRequest,
  gateway: LlmGateway | undefined,
  heard: WrittenTip[],
): Promise<WrittenTips> {
  const { prompt, onTip } = request;
  if (prompt.form === 'templates') return writeTemplates(request, prompt);
  if (!gateway) return writeTemplates(request, request.fallbackPrompt, { degradation: 'llm_not_configured' });

  const timeoutMs = modelTimeMs(request.deadlineMs);
  if (timeoutMs < modelMsMin) {
    const failure = 'The deadline left no time to ask the language model.';
    return writeTemplates(request, request.fallbackPrompt, { degradation: 'llm_timeout', failure });
  }
  const hear = (tip: TipDraft, { model }: Author) => {
    const written = { id: request.tipId(heard.length), source: 'llm' as const, ...tip };
    heard.push(written);
    onTip?.(written, { model, promptVersion: prompt.version });
  };
  const hearing = onTip && hearTips({ ...request, prompt }, hear);
  const answer = await askModel(request, prompt, gateway, timeoutMs, hearing);
  const given = hearing?.end();
  if (given) return { ...writtenAloud(given, answer, request.n), ...versionOf(prompt), tips: heard };
  if (answer instanceof LlmError) {
    return writeTemplates(request, request.fallbackPrompt, {
      ...answer.usage,
      askedModel: gateway.model,
      degradation: degradationOf[answer.kind],
      failure: answer.message,
    });
  }

  const askedModel = answer.askedModel ?? gateway.model;
  const spent = { askedModel, promptTokens: answer.promptTokens, completionTokens: answer.completionTokens };
  const { tips, dropped, degradation, failure } =
    checkAnswer(answer.text, { ...request, prompt }) ?? notOfTheAgreedForm;
  if (tips.length === 0) {
    return writeTemplates(request, request.fallbackPrompt, { ...spent, dropped, degradation, failure });
  }
  return {
    ...nothingWritten,
    ...spent,
    ...versionOf(prompt),
    tips: withIds(tips, 'llm', request),
    model: answer.model,
    degradations: degradation ? [degradation] : [],
    dropped,
  };
}

function versionOf({ version, hash }: ModelPrompt) {
  return { promptVersion: version, promptHash: hash, requestedPromptVersion: version };
}

/** What is told of tips that were given away. A failure after the last of them is none: nothing is missing. */
function writtenAloud({ author, accepted }: Given, answer: LlmAnswer | LlmError, n: number) {
  const { tips, dropped, degradation } = accepted;
  const failed = answer instanceof LlmError && tips.length < n ? answer : undefined;
  const { promptTokens, completionTokens } = answer instanceof LlmError ? usageOf(answer) : answer;
  const degradations = [...(failed ? [degradationOf[failed.kind]] : []), ...(degradation ? [degradation] : [])];
  return { ...author, promptTokens, completionTokens, degradations, failure: failed?.message, dropped };
}

/** How long the model may take; what is left of the deadline is the reserve. */
function modelTimeMs(deadlineMs: number): number {
  const reserveMs = Math.min(reserve.mostMs, Math.max(reserve.leastMs, deadlineMs * reserve.share));
  return Math.min(modelMsMax, deadlineMs - reserveMs);
}

async function askModel(
  { context, n, nonce, signal, person }: WriteTipsRequest,
  prompt: ModelPrompt,
  gateway: LlmGateway,
  timeoutMs: number,
  hearing: Hearing | undefined,
): Promise<LlmAnswer | LlmError> {
  const asked = toLlmRequest({ prompt, context, n, nonce });
  const options = {
    timeoutMs,
    person,
    questionHash: contentHash([prompt.hash, context, n]), // not the nonce, which differs each time
    accepts: (text: string) => parseOutput(text, n) !== undefined,
    listen: hearing?.listen,
  };
  const ended = hearing ? AbortSignal.any([signal, hearing.signal]) : signal;
  try {
    // A gateway keeps its time by contract; the deadline is kept even if it does not.
    return await within({ signal: ended, timeoutMs }, (signal) => gateway.complete(asked, { ...options, signal }));
  } catch (error) {
    if (error instanceof LlmError) return error;
    const name = error instanceof Error ? error.name : typeof error;
    return new LlmError('unavailable', `The language model's gateway failed with ${name}.`);
  }
}

const degradationOf: Readonly<Record<LlmErrorKind, GenerateDegradation>> = {
  timeout: 'llm_timeout',
  unavailable: 'llm_unavailable',
  bad_output: 'llm_bad_output',
  refused: 'llm_bad_output',
  budget: 'llm_budget',
};

const notOfTheAgreedForm: AcceptedTips = {
  tips: [],
  dropped: {},
  degradation: 'llm_bad_output',
  failure: 'The tips were not of the agreed form.',
};

const nothingWritten = {
  model: '',
  askedModel: '',
  promptTokens: 0,
  completionTokens: 0,
  failure: undefined,
  dropped: {},
};

interface Spent {
  readonly dropped?: DroppedTips;
  readonly degradation?: GenerateDegradation | undefined;
  readonly failure?: string | undefined;
  readonly askedModel?: string;
  readonly promptTokens?: number;
  readonly completionTokens?: number;
}

function writeTemplates(request: WriteTipsRequest, prompt: TemplatePrompt, after: Spent = {}): WrittenTips {
  const { degradation, ...spent } = after;
  return {
    ...nothingWritten,
    ...spent,
    tips: withIds(fallbackTips(prompt, request.context, request.n), 'fallback', request),
    promptVersion: prompt.version,
    promptHash: prompt.hash,
    requestedPromptVersion: request.prompt.version,
    degradations: degradation ? [degradation] : [],
  };
}

function withIds(
  tips: readonly TipDraft[],
  source: WrittenTip['source'],
  { tipId }: WriteTipsRequest,
): readonly WrittenTip[] {
  return tips.map((tip, index) => ({ id: tipId(index), source, ...tip }));
}
