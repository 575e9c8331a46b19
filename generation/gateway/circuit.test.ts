import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CircuitCall, createCircuit } from './circuit.ts';
import { answer, handClock, heldGateway, options, request, unavailable } from './gateway.fixture.ts';
import { LlmError } from './gateway.ts';
import { withCircuit } from './with-circuit.ts';

const settings = { failuresMax: 3, cooldownMs: 1000, restMsMax: 5000 };

type Step =
  | { readonly do: 'enter' }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'succeeded' | 'failed' | 'ended'; readonly at: number; readonly restMs: number };

function settling(outcome: 'succeeded' | 'failed' | 'ended') {
  return fc.record({ do: fc.constant(outcome), at: fc.nat(5), restMs: fc.constantFrom(0, 0, 3000, 60_000) });
}

const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('enter' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 999, 1000, 2000, 5000) }),
    },
    { weight: 5, arbitrary: settling('failed') },
    { weight: 1, arbitrary: settling('succeeded') },
    { weight: 1, arbitrary: settling('ended') },
  ),
  { minLength: 20, maxLength: 120, size: 'max' },
);

/** What a circuit is, written down as a history instead of as a state: slow, and with nothing to get out of step. */
function modelCircuit(now: () => number) {
  let period = { since: 0, opened: undefined as number | undefined }; // what is said in it counts in it alone
  let outcomes: string[] = [];
  let probe: object | undefined;
  const next = (opened: number | undefined) => {
    period = { since: period.since + 1, opened };
    outcomes = [];
    probe = undefined;
  };
  return {
    enter(call: object): boolean {
      if (period.opened === undefined) return true;
      if (now() < period.opened || probe) return false;
      probe = call;
      return true;
    },
    period: () => period.since,
    settle(call: object, since: number, outcome: string, restMs: number) {
      if (since !== period.since) return;
      if (outcome === 'ended') {
        if (probe === call) probe = undefined;
        return;
      }
      const open = () => next(now() + Math.min(5000, Math.max(1000, restMs)));
      if (probe === call) {
        if (outcome === 'failed') open();
        else next(undefined);
        return;
      }
      outcomes.push(outcome);
      if (outcomes.slice(-3).join() === 'failed,failed,failed') open();
    },
  };
}

it('a circuit lets through exactly the calls that its description does', () => {
  let changes = 0;
  fc.assert(
    fc.property(steps, (steps: readonly Step[]) => {
      const clock = handClock();
      const circuit = createCircuit({ ...settings, now: clock.now });
      const model = modelCircuit(clock.now);
      const calls: { readonly call: CircuitCall; readonly since: number; isOver: boolean }[] = [];
      for (const step of steps) {
        if (step.do === 'pass') clock.pass(step.ms);
        else if (step.do === 'enter') {
          const call = circuit.enter();
          const entry = call && { call, since: model.period(), isOver: false };
          expect(model.enter(entry ?? {})).toBe(call !== undefined);
          if (circuit.state() !== 'closed') changes++;
          if (entry) calls.push(entry);
        } else {
          const entry = calls.at(-1 - step.at); // late ones too
          if (!entry) continue;
          if (step.do === 'failed') entry.call.failed(step.restMs);
          else entry.call[step.do]();
          if (!entry.isOver) model.settle(entry, entry.since, step.do, step.restMs);
          entry.isOver = true;
        }
      }
    }),
    { numRuns: 1000 },
  );
  expect(changes).toBeGreaterThan(1000); // it was not closed all the time
});

it('a circuit closes again, whatever was before, once the upstream is well', () => {
  fc.assert(
    fc.property(steps, (steps: readonly Step[]) => {
      const clock = handClock();
      const circuit = createCircuit({ ...settings, now: clock.now });
      const calls: CircuitCall[] = [];
      for (const step of steps) {
        if (step.do === 'pass') clock.pass(step.ms);
        else if (step.do === 'enter') calls.push(...[circuit.enter()].filter((call) => call !== undefined));
        else calls.at(-1 - step.at)?.[step.do]();
      }
      for (const call of calls) call.ended(); // no call lasts for ever
      clock.pass(settings.restMsMax);
      circuit.enter()?.succeeded();
      expect(circuit.state()).toBe('closed');
    }),
  );
});

describe('withCircuit', () => {
  const setUp = () => {
    const clock = handClock();
    const { gateway, calls } = heldGateway();
    const circuit = createCircuit({ ...settings, now: clock.now });
    return { clock, calls, circuit, guarded: withCircuit(gateway, circuit) };
  };
  const fail = async (error: unknown, { guarded, calls }: ReturnType<typeof setUp>, over = options()) => {
    const asked = guarded.complete(request, over);
    calls.at(-1)?.reject(error);
    await expect(asked).rejects.toBe(error);
  };

  it('fails at once after failures in a row, and asks again after the cooldown', async () => {
    const set = setUp();
    for (let i = 0; i < 3; i++) await fail(unavailable, set);
    await expect(set.guarded.complete(request, options())).rejects.toMatchObject({
      kind: 'unavailable',
      retryable: false,
      notAsked: 'circuit_open',
    });
    expect(set.calls).toHaveLength(3);
    set.clock.pass(1000);
    const probe = set.guarded.complete(request, options());
    await expect(set.guarded.complete(request, options())).rejects.toMatchObject({ notAsked: 'circuit_open' });
    set.calls.at(-1)?.resolve(answer);
    expect(await probe).toBe(answer);
    expect(set.circuit.state()).toBe('closed');
  });

  const left = new AbortController();
  left.abort();
  it.each([
    ['that the caller caused', new LlmError('unavailable', '400', { retryable: false }), options()],
    ['of a caller that left', new LlmError('timeout', 'left'), options({ signal: left.signal })],
    ['of a caller without patience', new LlmError('timeout', 'slow'), options({ timeoutMs: 249 })],
    ['that are answers', new LlmError('bad_output', 'prose'), options()],
    ['that are refusals', new LlmError('refused', 'no'), options()],
    ['that are our own', new TypeError('bug'), options()],
  ])('takes no notice of failures %s', async (_, error, over) => {
    const set = setUp();
    for (let i = 0; i < 5; i++) await fail(error, set, over);
    expect(set.circuit.state()).toBe('closed');
  });

  it('when a timeout opens it, ends those who wait no more than twice as long, and nobody else', async () => {
    const set = setUp();
    const waits = [249, 500, 2000, 2001, 60_000];
    const waiting = waits.map((timeoutMs) => set.guarded.complete(request, options({ timeoutMs })));
    const signals = set.calls.map(({ options }) => options.signal);
    const ended = () => waits.filter((_, i) => signals[i]?.aborted);
    const slow = new LlmError('timeout', 'slow');
    for (let i = 0; i < 2; i++) await fail(slow, set, options({ timeoutMs: 60_000 }));
    expect(ended()).toEqual([]);
    await fail(slow, set, options({ timeoutMs: 1000 }));
    expect(set.circuit.state()).toBe('open');
    expect(ended()).toEqual([249, 500, 2000]);
    expect(signals[0]?.reason).toMatchObject({ kind: 'timeout', retryable: false, notAsked: undefined });
    set.calls[3]?.reject(slow); // it hears the same later, and so do those who are as patient as it was
    await expect(waiting[3]).rejects.toBe(slow);
    expect(ended()).toEqual([249, 500, 2000]);
    set.calls[4]?.resolve(answer);
    expect(await waiting[4]).toBe(answer);
  });

  it('ends nobody when errors open it, nor when a timeout does not', async () => {
    const set = setUp();
    const waiting = set.guarded.complete(request, options());
    const signal = set.calls[0]?.options.signal;
    await fail(new LlmError('timeout', 'slow'), set);
    expect(set.circuit.state()).toBe('closed');
    for (let i = 0; i < 2; i++) await fail(unavailable, set);
    expect(set.circuit.state()).toBe('open');
    expect(signal?.aborted).toBe(false);
    set.calls[0]?.resolve(answer);
    expect(await waiting).toBe(answer);
  });

  it('passes on that the caller left, and why, before and while it waits', async () => {
    const set = setUp();
    const caller = new AbortController();
    void set.guarded.complete(request, options({ signal: caller.signal })).catch(() => undefined);
    const reason = new LlmError('timeout', 'its time is up');
    caller.abort(reason);
    void set.guarded.complete(request, options({ signal: caller.signal })).catch(() => undefined);
    expect(set.calls.map(({ options }) => options.signal.reason)).toEqual([reason, reason]);
  });

  it('opens on timeouts of callers who waited, and rests as long as the provider asks', async () => {
    const set = setUp();
    for (let i = 0; i < 2; i++) await fail(new LlmError('timeout', 'slow'), set);
    await fail(new LlmError('unavailable', '429', { retryAfterMs: 4000 }), set);
    set.clock.pass(3999);
    expect(set.circuit.state()).toBe('open');
    set.clock.pass(1);
    expect(set.circuit.state()).toBe('half_open');
  });
});
