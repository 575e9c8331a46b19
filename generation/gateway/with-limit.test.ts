import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answer, heldGateway, options, request, unavailable } from './gateway.fixture.ts';
import { withLimit } from './with-limit.ts';

const now = () => performance.now();

describe('withLimit', () => {
  it('never lets more through at once, and everyone in the end, whatever becomes of them', async () => {
    const ends = fc.array(fc.constantFrom('answer', 'fail', 'leave'), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), ends, async (callsMax, ends) => {
        const { gateway, calls } = heldGateway();
        const limited = withLimit(gateway, { callsMax, now });
        const callers = ends.map(() => new AbortController());
        const results = callers.map(({ signal }) =>
          limited.complete(request, options({ signal })).then(
            () => 'answered',
            () => 'failed',
          ),
        );
        for (const [i, caller] of callers.entries()) if (ends[i] === 'leave') caller.abort();
        let settled = 0;
        for (let i = 0; i <= ends.length; i++) {
          await turn();
          expect(calls.length - settled).toBeLessThanOrEqual(callsMax);
          const call = calls[settled];
          if (!call) break;
          settled++;
          if (settled % 3 === 0) call.reject(unavailable);
          else call.resolve(answer);
        }
        await Promise.all(results);
        expect(settled).toBe(calls.length);
        // all places are free again
        for (let i = 0; i < callsMax + 3; i++) void limited.complete(request, options()).catch(() => undefined);
        await turn();
        expect(calls.length - settled).toBe(callsMax);
      }),
    );
  });

  it('lets nobody wait beyond the time they would need', async () => {
    const { gateway, calls } = heldGateway();
    const limited = withLimit(gateway, { callsMax: 1, now });
    void limited.complete(request, options());
    const refusal = { kind: 'unavailable', retryable: false, notAsked: 'queue_full' };
    await expect(limited.complete(request, options({ timeoutMs: 250 }))).rejects.toMatchObject(refusal);
    const startMs = now();
    await expect(limited.complete(request, options({ timeoutMs: 300 }))).rejects.toMatchObject(refusal);
    expect(now() - startMs).toBeLessThan(250);
    expect(calls).toHaveLength(1);
  });

  it('gives who waited what is left of their time, in the order they came', async () => {
    const { gateway, calls } = heldGateway();
    const limited = withLimit(gateway, { callsMax: 1, now });
    const all = [3000, 2000, 1000].map((timeoutMs) => limited.complete(request, options({ timeoutMs })));
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      calls[i]?.resolve(answer);
    }
    await Promise.all(all);
    expect(calls.map(({ options }) => Math.ceil(options.timeoutMs / 1000))).toEqual([3, 2, 1]);
    expect(calls[2]?.options.timeoutMs).toBeLessThan(970);
  });
});
