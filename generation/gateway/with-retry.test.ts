import { describe, expect, it } from 'vitest';
import { type LlmAnswer, LlmError, type LlmGateway, type LlmRequest } from './gateway.ts';
import { firstTryMs, waitBeforeRetryMs, withRetry } from './with-retry.ts';

const request: LlmRequest = {
  system: '',
  user: '',
  schemaName: '',
  schema: {},
  temperature: 0,
  maxOutputTokens: 1,
};
const answer: LlmAnswer = { text: 'hi', model: 'm', promptTokens: 1, completionTokens: 1 };
const unavailable = new LlmError('unavailable', 'down');

/** A gateway that gives one outcome after the other, and notes the time that each try was given. */
function scripted(...outcomes: readonly (LlmAnswer | LlmError)[]) {
  const timeouts: number[] = [];
  const gateway: LlmGateway = {
    model: 'm',
    complete: async (_, { timeoutMs }) => {
      const outcome = outcomes[timeouts.length];
      timeouts.push(timeoutMs);
      if (!outcome || outcome instanceof LlmError) throw outcome ?? new Error('asked too often');
      return outcome;
    },
  };
  return { timeouts, gateway: withRetry(gateway, { random: () => 0, now: () => performance.now() }) };
}

const call = (gateway: LlmGateway, timeoutMs: number, signal = new AbortController().signal) =>
  gateway.complete(request, { signal, timeoutMs });

describe('withRetry', () => {
  it('asks once where the first try succeeds', async () => {
    const { gateway, timeouts } = scripted(answer);
    expect(await call(gateway, 3000)).toBe(answer);
    expect(timeouts).toEqual([2000]);
  });

  it('asks a second time, with what is left of the time', async () => {
    const { gateway, timeouts } = scripted(unavailable, answer);
    expect(await call(gateway, 3000)).toBe(answer);
    expect(timeouts).toHaveLength(2);
    expect(timeouts[1]).toBeLessThanOrEqual(3000 - 49); // the wait has passed; timers may be a millisecond early
    expect(timeouts[1]).toBeGreaterThan(0);
  });

  it('never asks a third time', async () => {
    const last = new LlmError('timeout', 'slow');
    const { gateway, timeouts } = scripted(unavailable, last, answer);
    await expect(call(gateway, 3000)).rejects.toBe(last);
    expect(timeouts).toHaveLength(2);
  });

  it.each([
    ['a bad answer', new LlmError('bad_output', 'html')],
    ['a refusal', new LlmError('refused', 'no')],
    ['an error that stays', new LlmError('unavailable', '401', { retryable: false })],
    ['a provider that wants longer than there is', new LlmError('unavailable', '429', { retryAfterMs: 60_000 })],
  ])('does not ask again after %s', async (_, error) => {
    const { gateway, timeouts } = scripted(error, answer);
    await expect(call(gateway, 3000)).rejects.toBe(error);
    expect(timeouts).toHaveLength(1);
  });

  it('says why the first try failed where the second did not get to the model', async () => {
    const slow = new LlmError('timeout', 'slow');
    const open = new LlmError('unavailable', 'resting', { retryable: false, notAsked: 'circuit_open' });
    await expect(call(scripted(slow, open).gateway, 3000)).rejects.toBe(slow);
  });

  it('does not ask again once the caller went away', async () => {
    const { gateway, timeouts } = scripted(unavailable, answer);
    const caller = new AbortController();
    const called = call(gateway, 3000, caller.signal);
    caller.abort();
    await expect(called).rejects.toBe(unavailable);
    expect(timeouts).toHaveLength(1);
  });
});

describe('waitBeforeRetryMs', () => {
  it.each([
    ['the least', 0, undefined, 5000, 50],
    ['the most', 1, undefined, 5000, 400],
    ['what the provider asks', 0, 2000, 5000, 2000],
    ['no less than drawn', 1, 100, 5000, 400],
    ['only where a try still fits', 0, undefined, 300, 50],
    ['not where none fits', 0, undefined, 299, undefined],
    ['not where the provider asks for too long', 0, 4800, 5000, undefined],
  ])('is %s', (_, random, retryAfterMs, leftMs, expected) => {
    const error = new LlmError('unavailable', '', retryAfterMs === undefined ? {} : { retryAfterMs });
    expect(waitBeforeRetryMs(error, leftMs, random)).toBe(expected);
  });

  it('is none for what is not an LlmError', () => {
    expect(waitBeforeRetryMs(new TypeError('bug'), 5000, 0)).toBeUndefined();
  });
});

describe('firstTryMs', () => {
  it.each([
    ['two thirds of much time', 9000, 6000],
    ['all of little time', 1000, 1000],
  ])('is %s', (_, timeoutMs, expected) => {
    expect(firstTryMs(timeoutMs)).toBeCloseTo(expected);
  });
});
