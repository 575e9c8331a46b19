import { describe, expect, it } from 'vitest';
import { answer, handClock, heldGateway, options, request, scriptedGateway, unavailable } from './gateway.fixture.ts';
import { LlmError } from './gateway.ts';
import { withRepair } from './with-repair.ts';

const prose = { ...answer, text: 'Here are your tips!' };
const accepts = (text: string) => text === 'hi';
const now = () => 0;

describe('withRepair', () => {
  it('asks once where the text is accepted, or nobody says what is', async () => {
    const { gateway, calls } = scriptedGateway([answer, answer]);
    const repaired = withRepair(gateway, { now });
    expect(await repaired.complete(request, options({ accepts }))).toBe(answer);
    expect(await repaired.complete(request, options())).toBe(answer);
    expect(calls).toHaveLength(2);
  });

  it('asks once more where it is not, the same and a reminder, and tells what both cost', async () => {
    const { gateway, calls } = scriptedGateway([prose, answer]);
    const result = await withRepair(gateway, { now }).complete(request, options({ accepts }));
    expect(result).toEqual({ ...answer, promptTokens: 20, completionTokens: 10 });
    expect(calls[1]?.request.user).toMatch(/^the user text\n\nYour previous answer was not of the agreed form/);
    expect(calls[1]?.request).toEqual({ ...request, user: expect.any(String) });
    expect(calls[1]?.request.user).not.toContain('Here are');
  });

  it('never asks a third time', async () => {
    const { gateway, calls } = scriptedGateway([prose]);
    const result = await withRepair(gateway, { now }).complete(request, options({ accepts }));
    expect(result).toMatchObject({ text: prose.text, promptTokens: 20 });
    expect(calls).toHaveLength(2);
  });

  it('leaves the caller the first text where asking again fails', async () => {
    const usage = { promptTokens: 1, completionTokens: 1 };
    const cut = scriptedGateway([prose, new LlmError('bad_output', 'cut', { usage })]);
    expect(await withRepair(cut.gateway, { now }).complete(request, options({ accepts }))).toEqual({
      ...prose,
      promptTokens: 11,
      completionTokens: 6,
    });
    const down = scriptedGateway([prose, unavailable]);
    expect(await withRepair(down.gateway, { now }).complete(request, options({ accepts }))).toBe(prose);
    const first = scriptedGateway([unavailable]);
    await expect(withRepair(first.gateway, { now }).complete(request, options({ accepts }))).rejects.toBe(unavailable);
    expect(first.calls).toHaveLength(1);
  });

  it.each([
    ['as much as the first took: again', 1500, 2],
    ['less: no', 1501, 1],
  ])('the time left is %s', async (_, tookMs, tries) => {
    const clock = handClock();
    const { gateway, calls } = heldGateway();
    const asked = withRepair(gateway, { now: clock.now }).complete(request, options({ accepts, timeoutMs: 3000 }));
    clock.pass(tookMs);
    calls[0]?.resolve(prose);
    await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, 10))]);
    expect(calls).toHaveLength(tries);
    expect(calls[1]?.options.timeoutMs ?? 1500).toBe(1500);
  });

  it('does not ask again for a caller that left', async () => {
    const { gateway, calls } = heldGateway();
    const caller = new AbortController();
    const asked = withRepair(gateway, { now }).complete(request, options({ accepts, signal: caller.signal }));
    caller.abort();
    calls[0]?.resolve(prose);
    expect(await asked).toBe(prose);
    expect(calls).toHaveLength(1);
  });
});
