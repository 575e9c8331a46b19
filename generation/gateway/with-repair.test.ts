import { describe, expect, it } from 'vitest';
import { answer, handClock, heldGateway, options, request, scriptedGateway, unavailable } from './gateway.fixture.ts';
import { LlmError, type LlmGateway } from './gateway.ts';
import { withRepair } from './with-repair.ts';

const prose = { ...answer, text: 'Here are your tips!' };
const accepts = (text: string) => text === 'hi';
const repair = (gateway: LlmGateway, now = () => 0) => withRepair(gateway, { again: gateway, now });

describe('withRepair', () => {
  it('asks once where the text is accepted, or nobody says what is', async () => {
    const { gateway, calls } = scriptedGateway([answer, prose]);
    expect(await repair(gateway).complete(request, options({ accepts }))).toBe(answer);
    expect(await repair(gateway).complete(request, options())).toBe(prose);
    expect(calls).toHaveLength(2);
  });

  it('asks once more where it is not, the same and a reminder, and tells what both cost', async () => {
    const { gateway, calls } = scriptedGateway([prose, answer]);
    const result = await repair(gateway).complete(request, options({ accepts }));
    expect(result).toEqual({ ...answer, promptTokens: 20, completionTokens: 10 });
    expect(calls[1]?.request.user).toMatch(/^the user text\n\nYour previous answer was not of the agreed form/);
    expect(calls[1]?.request).toEqual({ ...request, user: expect.any(String) });
    expect(calls[1]?.request.user).not.toContain('Here are');
  });

  it('asks again without the tries of its own that the first question had', async () => {
    const [first, again] = [scriptedGateway([prose]), scriptedGateway([answer])];
    const repaired = withRepair(first.gateway, { again: again.gateway, now: () => 0 });
    expect(await repaired.complete(request, options({ accepts }))).toMatchObject({ text: 'hi' });
    expect([first.calls.length, again.calls.length]).toEqual([1, 1]);
  });

  const cut = new LlmError('bad_output', 'cut', { usage: { promptTokens: 1, completionTokens: 1 } });
  it.each([
    ['is no better', [prose], { promptTokens: 20, completionTokens: 10 }],
    ['is of no use', [prose, cut], { promptTokens: 11, completionTokens: 6 }],
    ['fails', [prose, unavailable], { promptTokens: 10, completionTokens: 5 }],
  ])(
    'where the second answer %s, rejects for the first, tells what both cost, and asks no third time',
    async (_, outcomes, usage) => {
      const { gateway, calls } = scriptedGateway(outcomes);
      const asked = repair(gateway).complete(request, options({ accepts }));
      await expect(asked).rejects.toMatchObject({ kind: 'bad_output', retryable: false, usage });
      await expect(asked).rejects.toThrow(/not of the agreed form/);
      await expect(asked).rejects.not.toThrow(/Here are/);
      expect(calls).toHaveLength(2);
    },
  );

  it('leaves a question alone that was not answered', async () => {
    const { gateway, calls } = scriptedGateway([unavailable]);
    await expect(repair(gateway).complete(request, options({ accepts }))).rejects.toBe(unavailable);
    expect(calls).toHaveLength(1);
  });

  it.each([
    ['far more than the first took: again, in two thirds of it', 300, 1800],
    ['as much as the first took: again, in all of it', 1500, 1500],
    ['less: no', 1501, undefined],
  ])('the time left is %s', async (_, tookMs, timeoutMs) => {
    const clock = handClock();
    const { gateway, calls } = heldGateway();
    const asked = repair(gateway, clock.now).complete(request, options({ accepts, timeoutMs: 3000 }));
    const settled = asked.catch((error: unknown) => error);
    clock.pass(tookMs);
    calls[0]?.resolve(prose);
    await Promise.race([settled, new Promise((resolve) => setTimeout(resolve, 10))]);
    expect(calls[1]?.options.timeoutMs).toBe(timeoutMs);
    calls[1]?.resolve(prose);
    expect(await settled).toMatchObject({ kind: 'bad_output', usage: { promptTokens: 10 * calls.length } });
  });

  it('does not ask again for a caller that left', async () => {
    const { gateway, calls } = heldGateway();
    const caller = new AbortController();
    const asked = repair(gateway).complete(request, options({ accepts, signal: caller.signal }));
    caller.abort();
    calls[0]?.resolve(prose);
    await expect(asked).rejects.toMatchObject({ kind: 'bad_output', usage: { promptTokens: 10 } });
    expect(calls).toHaveLength(1);
  });
});
