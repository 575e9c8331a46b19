/** What a language model is asked. */
export interface LlmRequest {
  readonly system: string;
  readonly user: string;
  readonly schemaName: string;
  /** JSON Schema of the answer. A gateway passes it on; it does not check the answer against it. */
  readonly schema: Readonly<Record<string, unknown>>;
  readonly temperature: number;
  readonly maxOutputTokens: number;
}

export interface LlmOptions {
  /** Ends the call: it then rejects with its reason, if that is an `LlmError`, else as the caller has left. */
  readonly signal: AbortSignal;
  /** Time for the whole call, reading the answer included. */
  readonly timeoutMs: number;
  /** Whom the call is for, as an opaque id: budgets and caches go by it, and it is never sent. Unset: nobody. */
  readonly person?: string | undefined;
  /** What makes two calls for one person the same question, whatever else differs. Unset: it is like no other. */
  readonly questionHash?: string | undefined;
  /** Whether a text is of the agreed form. Unset: every text is. An adapter does not look; what asks again does. */
  readonly accepts?: ((text: string) => boolean) | undefined;
  /**
   * Called for each attempt at a model, with what that one is called here: who listens hears the answer while it is
   * written. Unset: an answer is asked for in one piece. An answer that was not asked for anew, out of a cache or of a
   * call that another began, is not heard.
   */
  readonly listen?: ((askedModel: string) => LlmListener) | undefined;
}

/** Hears one attempt: its text in pieces, which add up to that of the answer, and then its end. */
export interface LlmListener {
  readonly onText: OnText;
  /** Comes before anyone can ask again. Who can use no answer but this one aborts the signal of the call here. */
  onEnd(result: LlmAnswer | LlmError): void;
}

/** `model` as in the answer. */
export type OnText = (piece: string, model: string) => void;

/** Zero: the model did not say. */
export interface LlmUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** Its tokens are those that this call has spent, attempts that were of no use included. */
export interface LlmAnswer extends LlmUsage {
  readonly text: string;
  /** The model that answered, as it calls itself: 1 to 128 printable ASCII characters. */
  readonly model: string;
  /** What that model is called here, where it is not the gateway's `model` but one that stood in for it. */
  readonly askedModel?: string;
}

/** The port to language models. Every rejection is an `LlmError`. */
export interface LlmGateway {
  /** The model that is asked; of several, the first. */
  readonly model: string;
  complete(request: LlmRequest, options: LlmOptions): Promise<LlmAnswer>;
}

/**
 * - `timeout`: no complete answer in time, or the caller went away.
 * - `unavailable`: not reached, or answered with an error, or not asked since it would be in vain.
 * - `bad_output`: answered, but not in the agreed form.
 * - `refused`: the model or a filter declined to answer.
 * - `budget`: not asked, since the day's tokens or money are spent.
 */
export type LlmErrorKind = 'timeout' | 'unavailable' | 'bad_output' | 'refused' | 'budget';

export interface LlmErrorOptions {
  readonly retryable?: boolean;
  readonly retryAfterMs?: number | undefined;
  readonly usage?: LlmUsage | undefined;
  readonly notAsked?: 'circuit_open' | 'queue_full' | undefined;
}

/** Why there is no answer. Its message is fit for logs: never a prompt, an answer or a key. */
export class LlmError extends Error {
  override readonly name = 'LlmError';
  readonly kind: LlmErrorKind;
  /** Whether asking again may help. */
  readonly retryable: boolean;
  /** How long the provider wants to be left alone, if it said so. */
  readonly retryAfterMs: number | undefined;
  /** What was spent all the same. Undefined: unknown, or nothing. */
  readonly usage: LlmUsage | undefined;
  /** Why we did not even ask. Undefined: we did. */
  readonly notAsked: LlmErrorOptions['notAsked'];

  constructor(kind: LlmErrorKind, message: string, options: LlmErrorOptions = {}) {
    super(message);
    this.kind = kind;
    this.retryable = options.retryable ?? (kind === 'timeout' || kind === 'unavailable');
    this.retryAfterMs = options.retryAfterMs;
    this.usage = options.usage;
    this.notAsked = options.notAsked;
  }
}

export const noUsage: LlmUsage = { promptTokens: 0, completionTokens: 0 };

/** The usage of something that failed, as far as it is known. */
export function usageOf(error: unknown): LlmUsage {
  return (error instanceof LlmError ? error.usage : undefined) ?? noUsage;
}

/** The same answer, or the same error, with what was spent before it added. */
export function withUsage(answer: LlmAnswer, before: LlmUsage): LlmAnswer;
export function withUsage(error: unknown, before: LlmUsage): unknown;
export function withUsage(result: unknown, before: LlmUsage): unknown {
  if (before.promptTokens === 0 && before.completionTokens === 0) return result;
  if (!(result instanceof LlmError)) {
    return result instanceof Error ? result : { ...(result as LlmAnswer), ...sum(result as LlmAnswer, before) };
  }
  const { kind, message, retryable, retryAfterMs, notAsked } = result;
  return new LlmError(kind, message, { retryable, retryAfterMs, notAsked, usage: sum(usageOf(result), before) });
}

/** The same error without what was spent, for those who did not spend it. */
export function withoutUsage(error: unknown): unknown {
  if (!(error instanceof LlmError) || error.usage === undefined) return error;
  const { kind, message, retryable, retryAfterMs, notAsked } = error;
  return new LlmError(kind, message, { retryable, retryAfterMs, notAsked });
}

const uint32Max = 0xffff_ffff;

function sum(a: LlmUsage, b: LlmUsage): LlmUsage {
  return {
    promptTokens: Math.min(uint32Max, a.promptTokens + b.promptTokens),
    completionTokens: Math.min(uint32Max, a.completionTokens + b.completionTokens),
  };
}

/** A try with less time than this is not worth making. */
export const tryMsMin = 250;

/** The error of a call whose signal has aborted. */
export function endedBy(signal: AbortSignal): LlmError {
  if (signal.reason instanceof LlmError) return signal.reason;
  return new LlmError('timeout', 'The caller went away before the language model answered.');
}

/** Whether nobody waits for the answer any more, other than because the time is up. */
export function hasLeft(signal: AbortSignal): boolean {
  return signal.aborted && !(signal.reason instanceof LlmError);
}

const isOver = 'it is over';

/**
 * Settles as `work` does, or rejects with a timeout once the time is up or the signal aborts, whatever `work` does
 * then. `work` gets a signal that aborts at the same moment, for the same reason.
 */
export async function within<Result>(
  { signal, timeoutMs }: Pick<LlmOptions, 'signal' | 'timeoutMs'>,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  if (signal.aborted) throw endedBy(signal);

  const working = new AbortController();
  const ended = Promise.withResolvers<never>();
  const end = (error: LlmError, reason: unknown) => {
    ended.reject(error);
    working.abort(reason);
  };
  const onAbort = () => end(endedBy(signal), signal.reason);
  const onTimeUp = () => {
    const error = new LlmError('timeout', `The language model did not answer within ${Math.round(timeoutMs)} ms.`);
    end(error, error);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(onTimeUp, timeoutMs);
  try {
    return await Promise.race([ended.promise, work(working.signal)]);
  } catch (error) {
    working.abort(isOver); // without a reason it would make an error with a stack, for nobody
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** One attempt at a model within its time, heard by who listens. */
export async function attempt(
  model: string,
  options: LlmOptions,
  work: (signal: AbortSignal, onText: OnText | undefined) => Promise<LlmAnswer>,
): Promise<LlmAnswer> {
  const listener = options.listen?.(model);
  if (!listener) return await within(options, (signal) => work(signal, undefined));
  const heard = within(options, (signal) =>
    work(signal, (piece, by) => {
      if (!signal.aborted) listener.onText(piece, by);
    }),
  );
  return await heard.then(
    (answer) => {
      listener.onEnd(answer);
      return answer;
    },
    (error: LlmError) => {
      listener.onEnd(error);
      throw error;
    },
  );
}
