// A process that calls a server as fast as it answers, or at fixed times, and measures from outside.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from './clients.ts';
import { answerTasks, cpuMicrosPer, cpuOf } from './processes.ts';
import { type Protocol, requestSource, scorePath } from './requests.ts';

export interface LoadTask {
  readonly url: string;
  readonly protocol: Protocol;
  /** Calls at once, the next one when one is answered; or calls per second, whether or not any is answered. */
  readonly pace: { readonly inFlight: number } | { readonly perSecond: number };
  /** Calls of this first while are made and not measured. */
  readonly runInMs: number;
  readonly measureMs: number;
  /** Processes whose CPU time is to be measured, by name. */
  readonly pids: Readonly<Record<string, number>>;
}

export interface LoadResult {
  /** Calls that were answered, in the run-in and after the end too. */
  readonly answered: number;
  /** Calls answered within the measured time, per second. */
  readonly perSecond: number;
  /** Per call answered, user and system time; `load` is this process. Undefined where the system does not tell. */
  readonly cpuMicros: Readonly<Record<string, number | undefined>>;
  /** Of the calls answered (closed loop) or due (fixed times) within the measured time. */
  readonly latenciesMs: Float64Array;
}

const errorsShown = 3;

answerTasks(async (task: LoadTask): Promise<LoadResult> => {
  const client = await createClient({ ...task, path: scorePath });
  try {
    return await run(task, client);
  } finally {
    client.close();
  }
});

async function run({ protocol, pace, runInMs, measureMs, pids }: LoadTask, client: Client): Promise<LoadResult> {
  const nextRequest = requestSource(protocol);
  const latenciesMs: number[] = [];
  const problems: string[] = [];
  let sent = 0;
  let settled = 0;
  let isOver = false;
  let onIdle = () => {};
  const from = performance.now() + runInMs;
  const to = from + measureMs;

  /** `dueAt` is when the call should have been made: a late client or a full pipe counts as the server's time. */
  const send = (lane: number, dueAt: number, then: () => void) => {
    sent++;
    client.call(lane, nextRequest(), (problem) => {
      settled++;
      const now = performance.now();
      const at = 'perSecond' in pace ? dueAt : now;
      if (problem !== undefined) problems.push(problem);
      else if (at >= from && at < to) latenciesMs.push(now - dueAt);
      then();
      if (isOver && settled === sent) onIdle();
    });
  };

  if ('inFlight' in pace) {
    const goOn = (lane: number) => {
      if (!isOver && problems.length === 0) send(lane, performance.now(), () => goOn(lane));
    };
    for (let lane = 0; lane < pace.inFlight; lane++) goOn(lane);
  } else {
    void sendAt(
      pace.perSecond,
      (dueAt) => send(sent, dueAt, () => {}),
      () => isOver || problems.length > 0,
    );
  }

  const processes = { ...pids, load: process.pid };
  await sleep(from - performance.now());
  const [before, settledBefore, startedAt] = [cpuOf(processes), settled, performance.now()];
  await sleep(to - performance.now());
  const [after, measured, endedAt] = [cpuOf(processes), settled - settledBefore, performance.now()];
  isOver = true;
  if (settled < sent)
    await new Promise<void>((resolve) => {
      onIdle = resolve;
    });
  if (problems.length > 0) {
    throw new Error(
      `${problems.length} of ${sent} calls over ${protocol} failed: ${problems.slice(0, errorsShown).join('; ')}`,
    );
  }
  return {
    answered: settled,
    perSecond: measured / ((endedAt - startedAt) / 1000),
    cpuMicros: cpuMicrosPer(measured, before, after),
    latenciesMs: Float64Array.from(latenciesMs),
  };
}

/** Calls `send` for each time that is due, at a distance of 1/rate. Timers tick once a millisecond, so some are late. */
async function sendAt(perSecond: number, send: (dueAt: number) => void, isOver: () => boolean): Promise<void> {
  const intervalMs = 1000 / perSecond;
  let dueAt = performance.now();
  while (!isOver()) {
    for (const now = performance.now(); dueAt <= now; dueAt += intervalMs) send(dueAt);
    await sleep(Math.max(0, dueAt - performance.now()));
  }
}
