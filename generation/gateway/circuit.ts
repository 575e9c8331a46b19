/** Whether an upstream is worth asking. Closed: yes. Open: no, until it has cooled down. Half open: one may try. */
export type CircuitState = 'closed' | 'open' | 'half_open';

/** One call that the circuit let through. Ends in exactly one of three ways; calling more is of no effect. */
export interface CircuitCall {
  succeeded(): void;
  /** The upstream failed; it may have said how long it wants to be left alone. */
  failed(restMs?: number): void;
  /** It ended without saying anything about the upstream. */
  ended(): void;
}

export interface Circuit {
  state(): CircuitState;
  /** Undefined: do not ask. */
  enter(): CircuitCall | undefined;
}

export interface CircuitOptions {
  /** So many calls must fail one after the other to open it. */
  readonly failuresMax: number;
  readonly cooldownMs: number;
  /** No upstream is left alone for longer, whatever it asks for. */
  readonly restMsMax: number;
  /** Milliseconds of a clock that never runs back. */
  readonly now: () => number;
}

/**
 * Counts failures in a row. What ends after the circuit has changed says nothing any more: hundreds of calls that hang
 * when it opens are one failure, not hundreds of them.
 */
export function createCircuit({ failuresMax, cooldownMs, restMsMax, now }: CircuitOptions): Circuit {
  let failures = 0;
  /** Undefined: closed. */
  let openUntilMs: number | undefined;
  let isProbing = false;
  let epoch = 0;

  const state = () => (openUntilMs === undefined ? 'closed' : now() < openUntilMs ? 'open' : 'half_open');
  const become = (untilMs: number | undefined) => {
    openUntilMs = untilMs;
    failures = 0;
    isProbing = false;
    epoch++;
  };

  function enter(): CircuitCall | undefined {
    const at = state();
    if (at === 'open' || (at === 'half_open' && isProbing)) return undefined;
    isProbing = at === 'half_open';
    const own = epoch;
    let isOver = false;
    const once = (settle: () => void) => {
      if (!isOver && own === epoch) settle();
      isOver = true;
    };
    return {
      succeeded: () =>
        once(() => {
          if (isProbing) become(undefined);
          failures = 0;
        }),
      failed: (restMs = 0) =>
        once(() => {
          failures++;
          if (isProbing || failures >= failuresMax) {
            become(now() + Math.min(restMsMax, Math.max(cooldownMs, restMs)));
          }
        }),
      ended: () =>
        once(() => {
          isProbing = false;
        }),
    };
  }
  return { state, enter };
}
