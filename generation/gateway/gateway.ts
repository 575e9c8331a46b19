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
  /** Ends the call: it then rejects with a timeout. */
  readonly signal: AbortSignal;
  /** Time for the whole call, reading the answer included. */
  readonly timeoutMs: number;
}

export interface LlmAnswer {
  readonly text: string;
  /** The model that answered, as it calls itself: 1 to 128 printable ASCII characters. */
  readonly model: string;
  /** Zero: it did not say. */
  readonly promptTokens: number;
  /** Zero: it did not say. */
  readonly completionTokens: number;
}

/** The port to language models. Every rejection is an `LlmError`. */
export interface LlmGateway {
  /** The model that is asked. */
  readonly model: string;
  complete(request: LlmRequest, options: LlmOptions): Promise<LlmAnswer>;
}

/**
 * - `timeout`: no complete answer in time, or the caller went away.
 * - `unavailable`: not reached, or answered with an error.
 * - `bad_output`: answered, but not in the agreed form.
 * - `refused`: the model or a filter declined to answer.
 */
export type LlmErrorKind = 'timeout' | 'unavailable' | 'bad_output' | 'refused';

/** Why there is no answer. Its message is fit for logs: never a prompt, an answer or a key. */
export class LlmError extends Error {
  override readonly name = 'LlmError';
  readonly kind: LlmErrorKind;
  /** Whether asking again may help. */
  readonly retryable: boolean;
  /** How long the provider wants to be left alone, if it said so. */
  readonly retryAfterMs: number | undefined;

  constructor(kind: LlmErrorKind, message: string, options: { retryable?: boolean; retryAfterMs?: number } = {}) {
    super(message);
    this.kind = kind;
    this.retryable = options.retryable ?? (kind === 'timeout' || kind === 'unavailable');
    this.retryAfterMs = options.retryAfterMs;
  }
}

/**
 * Settles as `work` does, or rejects with a timeout once the time is up or the signal aborts, whatever `work` does
 * then. `work` gets a signal that aborts at the same moment.
 */
export async function within<Result>(
  { signal, timeoutMs }: LlmOptions,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const cancelled = () => new LlmError('timeout', 'The caller went away before the language model answered.');
  if (signal.aborted) throw cancelled();

  const working = new AbortController();
  const ended = Promise.withResolvers<never>();
  const onAbort = () => ended.reject(cancelled());
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => {
    ended.reject(new LlmError('timeout', `The language model did not answer within ${Math.round(timeoutMs)} ms.`));
  }, timeoutMs);
  try {
    return await Promise.race([ended.promise, work(working.signal)]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    working.abort();
  }
}
