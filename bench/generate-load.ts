// A process that keeps so many calls at once under way, of Generate or of the language model itself, and measures each
// from outside. Calls that fail are counted: whether they may is for who asks to say.

import { setTimeout as sleep } from 'node:timers/promises';
import { statisticsVersion } from '../experiments/statistics.ts';
import { createPersonStore } from '../features/person-store.ts';
import { subjects } from '../gen/proto/oo/contract.ts';
import { openDatabase } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import { openBus } from '../platform/nats-bus.ts';
import { createClient } from './clients.ts';
import { people as peopleCount, personId } from './people.ts';
import { answerTasks, cpuMicrosPer, cpuOf } from './processes.ts';
import { generatePath, generateSource } from './requests.ts';

export interface GenerateLoadTask {
  readonly target:
    | { readonly generateAt: string; readonly timeoutMs?: number }
    | {
        readonly post: string;
        readonly body: string;
        readonly apiKey?: string;
        /** Reads a person before each call and appends an event after it, as `Generate` must. */
        readonly around?: { readonly databaseUrl: string; readonly natsUrl: string };
      };
  readonly inFlight: number;
  /** The calls of the beginning are spread over this time, so that they do not all begin and end as one. */
  readonly spreadMs: number;
  /** After the spread, and not measured. */
  readonly runInMs: number;
  readonly measureMs: number;
  /** Ends after so many calls instead, and measures all of them. */
  readonly callsMax?: number;
  readonly pids: Readonly<Record<string, number>>;
}

export interface GenerateLoadResult {
  /** Calls answered well. */
  readonly answered: number;
  /** In the measured time. */
  readonly perSecond: number;
  readonly cpuMicros: Readonly<Record<string, number | undefined>>;
  /** Of the calls that ended in the measured time, well or not. */
  readonly latenciesMs: Float64Array;
  /** Of those among them that ended well. */
  readonly wellMs: Float64Array;
  readonly problems: readonly string[];
}

type Call = (lane: number) => Promise<string | undefined>;

answerTasks(async (task: GenerateLoadTask): Promise<GenerateLoadResult> => {
  if ('post' in task.target) {
    const { around } = task.target;
    const call = fetchOf(task.target);
    return around ? await withAround(around, call, (both) => run(task, both)) : await run(task, call);
  }
  const { generateAt: url, timeoutMs } = task.target;
  const client = await createClient({ url, protocol: 'grpc', path: generatePath, timeoutMs });
  const nextRequest = generateSource();
  const call: Call = (lane) => new Promise((resolve) => client.call(lane, nextRequest(), resolve));
  try {
    return await run(task, call);
  } finally {
    client.close();
  }
});

async function run(
  { inFlight, spreadMs, runInMs, measureMs, callsMax = Number.POSITIVE_INFINITY, pids }: GenerateLoadTask,
  call: Call,
): Promise<GenerateLoadResult> {
  const latenciesMs: number[] = [];
  const wellMs: number[] = [];
  const problems: string[] = [];
  let [begun, ended, isOver] = [0, 0, false];
  const isBounded = Number.isFinite(callsMax);
  const start = performance.now();
  const from = isBounded ? start : start + spreadMs + runInMs;
  const to = isBounded ? Number.POSITIVE_INFINITY : from + measureMs;

  const keepCalling = async (lane: number) => {
    await sleep((lane * spreadMs) / inFlight);
    while (!isOver && begun < callsMax) {
      begun++;
      const begunAt = performance.now();
      const problem = await call(lane);
      const endedAt = performance.now();
      ended++;
      if (problem !== undefined) problems.push(problem);
      if (endedAt < from || endedAt >= to) continue;
      latenciesMs.push(endedAt - begunAt);
      if (problem === undefined) wellMs.push(endedAt - begunAt);
    }
  };
  const lanes = Promise.all(Array.from({ length: inFlight }, (_, lane) => keepCalling(lane)));

  const processes = { ...pids, load: process.pid };
  await sleep(from - performance.now());
  const [before, endedBefore, startedAt] = [cpuOf(processes), ended, performance.now()];
  await (isBounded ? lanes : sleep(to - performance.now()));
  const [after, measured, stoppedAt] = [cpuOf(processes), ended - endedBefore, performance.now()];
  isOver = true;
  await lanes;
  return {
    answered: ended - problems.length,
    perSecond: measured / ((stoppedAt - startedAt) / 1000),
    cpuMicros: cpuMicrosPer(measured, before, after),
    latenciesMs: Float64Array.from(latenciesMs),
    wellMs: Float64Array.from(wellMs),
    problems,
  };
}

/** As the server asks, with the same bytes. */
function fetchOf({ post, body, apiKey }: Extract<GenerateLoadTask['target'], { readonly post: string }>): Call {
  const headers = { 'content-type': 'application/json', ...(apiKey && { authorization: `Bearer ${apiKey}` }) };
  return async () => {
    try {
      const response = await fetch(post, { method: 'POST', headers, body });
      await response.text();
      return response.ok ? undefined : `HTTP status ${response.status}`;
    } catch (error) {
      return String(error);
    }
  };
}

/** The least that a `Generate` does by design, with nothing of the service but its read and its log. */
async function withAround<Result>(
  { databaseUrl, natsUrl }: { readonly databaseUrl: string; readonly natsUrl: string },
  call: Call,
  work: (call: Call) => Promise<Result>,
): Promise<Result> {
  const database = openDatabase({
    url: databaseUrl,
    applicationName: 'oo-bench-load',
    maxConnections: 4,
    plansOnce: true,
  });
  const bus = await openBus({ url: natsUrl, name: 'oo-bench-load' });
  try {
    const people = createPersonStore(database, { statisticsVersion });
    const { subject } = subjects.tipGenerated;
    const event = new Uint8Array(600); // as large as those of `Generate`
    let turn = 0;
    return await work(async (lane) => {
      await people.read(personId(turn++ % peopleCount), undefined, Date.now());
      const problem = await call(lane);
      await bus.publish(subject, event, { id: newId(Date.now()), timeoutMs: 2_000 });
      return problem;
    });
  } finally {
    await bus.close();
    await database.end();
  }
}
