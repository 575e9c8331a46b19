// The same small world through the real servers: client, gRPC, NATS, consumers, chores and Postgres, beside the memory.
import { isDeepStrictEqual } from 'node:util';
import { withStack } from '../bench/stack.ts';
import { createEventPublisher, createTipClient } from '../client/index.ts';
import { createChores } from '../consumers/chores.ts';
import { durablesOf } from '../consumers/durables.ts';
import { runConsumers } from '../consumers/run-consumers.ts';
import { policies } from '../experiments/policies/index.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { measureLearnt } from '../experiments/population-store.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { createDeadLetterStore } from '../features/dead-letter-store.ts';
import { createEventStore } from '../features/event-store.ts';
import { readHistory } from '../features/history-store.ts';
import { toMs } from '../features/time.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import type { Envelope } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { type Answer, type Lived, live, type Step } from '../pipelines/simulation/live.ts';
import { simulate } from '../pipelines/simulation/simulate.ts';
import { createVisits, type Visit } from '../pipelines/simulation/world.ts';
import type { Bus } from '../platform/bus.ts';
import { dayMs } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import { createLog } from '../platform/log.ts';
import { streams } from '../platform/streams.ts';
import { createContext } from '../server/context.ts';
import { createServer } from '../server/create-server.ts';
import { createRoutes } from '../server/routes/index.ts';
import { toTipScored } from '../server/tip-scored.ts';
import { waitFor } from './demo/wait-for.ts';

export interface Agreement {
  readonly policy: string;
  readonly decisions: number;
  readonly sameTip: number;
  /** Bit for bit. */
  readonly samePropensities: number;
  /** The logged event but for what names transactions and rows, `snapshot`, `populationId`, `requestHash`, and the time it took. */
  readonly sameLog: number;
  /** Rewards that the person had taught the policy, summed over decisions. */
  readonly rewards: number;
}

const compared = [...policies.values()].filter((policy) => policy.learning);
const log = createLog({ name: 'simulate', level: 'silent', pretty: false });

/** Time is the world's on both sides: the servers get its instants as their clock, and rest only between two of them. */
export async function compareWithServers(): Promise<readonly Agreement[]> {
  const agreements: Agreement[] = [];
  for (const [i, policy] of compared.entries()) {
    // a world of its own, on empty servers: nothing that one policy was taught reaches the next
    const visits = createVisits({ kind: 'drifting', seed: 100 + i, people: 6, days: 3, joinDays: 2 });
    agreements.push(await compareOne(policy, visits));
  }
  return agreements;
}

async function compareOne(policy: Policy, visits: readonly Visit[]): Promise<Agreement> {
  const inMemory = new Map<string, TipScored>();
  const answers: Lived[] = [];
  const keep = (into: Map<string, TipScored>) => (event: Envelope) => {
    if (event.payload.case === 'tipScored') into.set(event.eventId, event.payload.value);
  };
  simulate(visits, { policy, isPooled: true, toTipScored, onEvent: keep(inMemory) }, (lived) => answers.push(lived));

  const served: Lived[] = [];
  const logged = new Map<string, TipScored>();
  await withStack({ signal: new AbortController().signal, maxConnections: 8 }, async ({ database, bus }) => {
    await using service = await startService(policy, database, bus);
    const life = live(visits, (lived) => served.push(lived));
    let step: IteratorResult<Step, void> = life.next();
    while (!step.done) step = life.next(await service.take(step.value));
    await service.settle();
    const users = [...new Set(visits.map(({ request }) => request.userId))];
    for await (const { event } of readHistory(database, users)) keep(logged)(event);
  });

  const count = (isSame: (a: Lived, b: Lived) => boolean) =>
    answers.filter((lived, i) => served[i] !== undefined && isSame(lived, served[i])).length;
  return {
    policy: policy.name,
    decisions: visits.length,
    sameTip: count((a, b) => a.answer.tipId === b.answer.tipId && a.answer.decisionId === b.answer.decisionId),
    samePropensities: count((a, b) => isDeepStrictEqual(a.answer.propensities, b.answer.propensities)),
    sameLog: [...inMemory].filter(([id, event]) => isDeepStrictEqual(comparable(event), comparable(logged.get(id))))
      .length,
    rewards: [...logged.values()].reduce((sum, { statistics }) => sum + Number(statistics?.count ?? 0), 0),
  };
}

/** `requestHash` is of the bytes of the request, which the memory does not make; nor does it measure. */
function comparable(event: TipScored | undefined) {
  return event && { ...event, snapshot: '', populationId: '', requestHash: undefined, elapsedMicros: 0 };
}

async function startService(policy: Policy, database: Database, bus: Bus) {
  const stack = new AsyncDisposableStack();
  let nowMs = 0;
  await bus.ensureStreams(Object.values(streams));
  const config = { policy: policy.name, promptVersion: 'v1', llm: undefined, feast: undefined };
  const context = await createContext(config, { database, bus, log, clock: () => nowMs });
  const server = createServer({ routes: createRoutes(context), authKeys: [], log, metrics: context.metrics });
  const { url } = await server.listen({ port: 0, host: '127.0.0.1' });
  server.setServing(true);
  stack.defer(() => server.drain(500));
  const client = createTipClient({ baseUrl: url, timeoutMs: 5_000 });
  const publisher = createEventPublisher({ bus, producer: 'simulation' });

  const stop = new AbortController();
  const running = runConsumers({
    bus,
    eventStore: createEventStore(database),
    deadLetterStore: createDeadLetterStore(database),
    log,
    durables: durablesOf(30_000),
    signal: stop.signal,
  });
  stack.defer(async () => {
    stop.abort();
    await running;
  });
  const store = createRewardStore(database);
  const ignored = createChores({ bus, database }, { ignoredAfterMs: dayMs, keepMonths: undefined }).find(
    ({ name }) => name === 'ignored tips',
  );
  let isSettled = true;

  /** Waits until all that was published is in the tables, and rewarded: on a quiet service that takes a second. */
  const settle = async () => {
    if (isSettled) return;
    await waitFor('the consumers', () => isDrained(bus).catch(() => false));
    while ((await store.rewardTips()) > 0);
    isSettled = true;
  };

  const take = async (step: Step): Promise<Answer | undefined> => {
    if (step.kind === 'event') {
      const { userId, eventId, occurredAt, payload } = step.event;
      if (payload.case === 'tipIgnored') {
        await settle();
        await ignored?.run(toMs(occurredAt) + 1); // what the consumers say of their own accord
      } else if (payload.case !== undefined && occurredAt) {
        await publisher.publish({ userId, eventId, occurredAt, payload });
      }
      isSettled = false;
      return undefined;
    }
    await settle();
    if (step.kind === 'measure') {
      await measureLearnt(database);
      return undefined;
    }
    nowMs = step.atMs;
    const { $typeName: _, ...request } = step.request;
    const { tipId, decisionId, ranked } = await client.score(request);
    isSettled = false;
    const propensities = request.candidates.map(({ id }) => ranked.find((each) => each.tipId === id)?.propensity ?? 0);
    return { tipId, decisionId, propensities };
  };

  return { take, settle, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function isDrained(bus: Bus): Promise<boolean> {
  for (const { name } of [streams.signals, streams.feedback, streams.decisions, streams.deadletters]) {
    const { lastSequence, settledSequence } = await bus.inspect(name, `feature-pipeline-${name}`);
    if (settledSequence < lastSequence) return false;
  }
  return true;
}
