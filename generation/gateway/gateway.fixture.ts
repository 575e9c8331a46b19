// For the tests beside it: a gateway of promises that the test settles itself, and one that follows a script.
import { type LlmAnswer, LlmError, type LlmGateway, type LlmOptions, type LlmRequest } from './gateway.ts';

export const request: LlmRequest = {
  system: 'the system text',
  user: 'the user text',
  schemaName: 'tips',
  schema: { type: 'object' },
  temperature: 0.5,
  maxOutputTokens: 100,
};

export const answer: LlmAnswer = { text: 'hi', model: 'm-2026', promptTokens: 10, completionTokens: 5 };
export const unavailable = new LlmError('unavailable', 'down');

export const options = (over: Partial<LlmOptions> = {}): LlmOptions => ({
  signal: new AbortController().signal,
  timeoutMs: 3000,
  ...over,
});

export interface HeldCall {
  readonly request: LlmRequest;
  readonly options: LlmOptions;
  resolve(answer: LlmAnswer): void;
  reject(error: unknown): void;
}

/** Each call waits until the test settles it. */
export function heldGateway(model = 'm') {
  const calls: HeldCall[] = [];
  const gateway: LlmGateway = {
    model,
    complete: (request, options) => {
      const { promise, resolve, reject } = Promise.withResolvers<LlmAnswer>();
      calls.push({ request, options, resolve, reject });
      return promise;
    },
  };
  return { gateway, calls };
}

/** Gives one outcome after the other; the last one stays. */
export function scriptedGateway(outcomes: readonly (LlmAnswer | Error)[], model = 'm') {
  const calls: { readonly request: LlmRequest; readonly options: LlmOptions }[] = [];
  const gateway: LlmGateway = {
    model,
    complete: async (request, options) => {
      calls.push({ request, options });
      const outcome = outcomes[Math.min(calls.length, outcomes.length) - 1];
      if (!outcome || outcome instanceof Error) throw outcome ?? new TypeError('no outcome');
      return outcome;
    },
  };
  return { gateway, calls };
}

/** A clock that the test moves. */
export function handClock(startMs = 0) {
  let nowMs = startMs;
  return {
    now: () => nowMs,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}
