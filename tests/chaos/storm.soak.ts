// Minutes of everything at once: events keep coming, some twice, some late, some bad, while consumers are killed and
// paused, and Postgres and NATS are killed, stay away, and are cut off. At the end the tables equal the fold.
//
// SOAK_MINUTES (default 10) says how long, SOAK_SEED which events and which faults in which order.

import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Envelope } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { waitFor } from '../../scripts/demo/wait-for.ts';
import type { NodeProcess } from '../_util/node-process.ts';
import { startTestPostgres, type TestServer } from '../_util/servers.ts';
import { badKinds } from './ledger.ts';
import { ackWaitMs, type OutageRig, startOutageRig } from './rig.ts';
import { anyEvent, anyForm, fresh, impostor, sometimes } from './story.ts';

const seed = Number(process.env.SOAK_SEED ?? Math.trunc(Math.random() * 2 ** 31));
const minutes = Number(process.env.SOAK_MINUTES ?? 10);
const eventsPerSecond = Number(process.env.SOAK_RATE ?? 150);
const processCount = 3;
const longestMs = 60_000;

const faultKinds = [
  'kill a process',
  'pause a process',
  'stop a process',
  'kill Postgres',
  'kill NATS',
  'lose the network to Postgres',
  'lose the network to NATS',
] as const;

interface Fault {
  readonly kind: (typeof faultKinds)[number];
  /** How long it lasts. Nothing to a process that is killed or stopped: another takes its place. */
  readonly forMs: number;
  /** How long all is well before it. */
  readonly afterMs: number;
  /** Which process it meets. */
  readonly nth: number;
}

/** Every kind once, the servers away for as long as they ever are; then any, in any order, for any time. */
const anyFaults: fc.Arbitrary<readonly Fault[]> = fc
  .tuple(
    fc.shuffledSubarray([...faultKinds], { minLength: faultKinds.length }),
    fc.array(
      fc.record({
        kind: fc.constantFrom(...faultKinds),
        forMs: fc.integer({ min: 0, max: 20_000 }),
        afterMs: fc.integer({ min: 0, max: 8_000 }),
        nth: fc.nat(processCount),
      }),
      { minLength: 500, maxLength: 500, size: 'max' },
    ),
  )
  .map(([each, more]) => [...each.map((kind) => ({ kind, forMs: longestMs, afterMs: 3_000, nth: 0 })), ...more]);

const anyPart = fc.record({
  event: anyEvent,
  forms: fc.array(anyForm, { minLength: 1, maxLength: 3 }),
  bad: sometimes(0.01, fc.constantFrom(...badKinds)),
  impostorOf: sometimes(0.05, fc.nat()),
});

const startedAt = performance.now();
const say = (line: string) =>
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(0).padStart(5)} s  ${line}`);
const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;

it('a storm changes nothing', { timeout: minutes * 60_000 + 900_000 }, async () => {
  say(`seed ${seed}: SOAK_SEED=${seed} SOAK_MINUTES=${minutes} npm run soak`);
  const postgres = await startTestPostgres();
  await using rig = await startOutageRig(postgres);
  await using crew = startCrew(rig);
  using producer = startProducer(rig);
  const endsAt = performance.now() + minutes * 60_000;
  const counts = new Map<string, number>();
  const recoveries = new Map<string, number>();

  const [faults = []] = fc.sample(anyFaults, { numRuns: 1, seed });
  for (const [i, { kind, forMs, afterMs, nth }] of faults.entries()) {
    const leftMs = endsAt - performance.now();
    if (leftMs <= 0) break;
    await sleep(afterMs);
    const lastsMs = Math.min(forMs, leftMs);
    say(`${kind}${lastsMs > 0 && !/kill a|stop a/.test(kind) ? ` for ${seconds(lastsMs)}` : ''}`);
    await strike(kind, lastsMs, { rig, postgres, victim: crew.pick(nth) });
    const recoveryMs = await measureRecovery(rig);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    recoveries.set(kind, Math.max(recoveries.get(kind) ?? 0, recoveryMs));
    say(
      `  well again after ${seconds(recoveryMs)}; ${rig.ledger.events.size} events, ${producer.waiting()} waiting to be sent`,
    );
    if (i % 5 === 4) {
      await producer.settle();
      say('  all settled and compared');
    }
  }

  await producer.settle();
  const { ledger } = rig;
  say(`events ${ledger.events.size}, repeats absorbed ${ledger.repeats}, dead letters ${ledger.badMessages}`);
  for (const [kind, count] of counts)
    say(`${kind}: ${count} times, recovered within ${seconds(recoveries.get(kind) ?? 0)}`);
  say(`processes that ended by themselves: ${crew.deserters()}`);
  expect(producer.settled()).toBeGreaterThan(0);
});

interface Crew extends AsyncDisposable {
  /** One of the processes that work. */
  pick(nth: number): NodeProcess | undefined;
  /** How many ended without being asked to; each of them was replaced. */
  deserters(): number;
}

/** Keeps consumers running, as a supervisor does: whichever ends is replaced. */
function startCrew(rig: OutageRig): Crew {
  const running = new Set<NodeProcess>();
  let deserters = 0;
  let isOver = false;

  function hire() {
    const process = rig.start();
    running.add(process);
    void process.ended.then(async (code) => {
      running.delete(process);
      if (isOver) return;
      if (code !== undefined && code !== 0) {
        deserters++;
        say(`  a process ended with exit code ${code}: ${process.output().slice(-600)}`);
      }
      await sleep(Math.random() * 1_000);
      if (!isOver) hire();
    });
  }

  for (let i = 0; i < processCount; i++) hire();
  return {
    pick: (nth) => [...running][nth % (running.size || 1)],
    deserters: () => deserters,
    async [Symbol.asyncDispose]() {
      isOver = true;
      await Promise.all([...running].map((process) => process.stop()));
    },
  };
}

interface Struck {
  readonly rig: OutageRig;
  readonly postgres: TestServer;
  readonly victim: NodeProcess | undefined;
}

/** Does it, and undoes it after `forMs`. */
async function strike(kind: Fault['kind'], forMs: number, { rig, postgres, victim }: Struck): Promise<void> {
  switch (kind) {
    case 'kill a process':
      return victim?.kill();
    case 'stop a process':
      expect([0, undefined]).toContain(await victim?.stop()); // undefined: it had not begun yet
      return;
    case 'pause a process':
      if (!victim) return;
      process.kill(victim.pid, 'SIGSTOP');
      await sleep(Math.max(ackWaitMs * 1.5, forMs / 5));
      process.kill(victim.pid, 'SIGCONT');
      return;
    case 'kill Postgres':
    case 'kill NATS': {
      const server = kind === 'kill NATS' ? rig.nats : postgres;
      await server.kill();
      await sleep(forMs);
      return server.restart();
    }
    case 'lose the network to Postgres':
    case 'lose the network to NATS': {
      const proxy = kind === 'lose the network to NATS' ? rig.natsProxy : rig.postgresProxy;
      proxy.lose();
      await sleep(forMs);
      return proxy.heal();
    }
  }
}

/** How long it takes until an event that is published now is in the tables. */
async function measureRecovery({ ledger, database }: OutageRig): Promise<number> {
  const from = performance.now();
  const [event] = fc.sample(anyEvent, { numRuns: 1, seed });
  if (!event) throw new Error('no event');
  const probe = fresh(event);
  await ledger.publish(probe);
  await waitFor(
    'an event of after the fault to be stored',
    async () => {
      const { rowCount } = await database.query('SELECT FROM event_ids WHERE event_id = $1', [probe.eventId]);
      return rowCount === 1;
    },
    120_000,
  );
  return performance.now() - from;
}

interface Producer extends Disposable {
  /** Messages that were handed over and are not in their stream yet. */
  waiting(): number;
  /** Stops for a moment, waits until everything is settled, and compares. */
  settle(): Promise<void>;
  /** Events that were compared. */
  settled(): number;
}

const tickMs = 100;

/** Publishes at an even pace whatever happens: what cannot be sent now waits. */
function startProducer(rig: OutageRig): Producer {
  const parts = fc.sample(anyPart, { numRuns: 5_000, seed });
  const unsent = new Set<Promise<void>>();
  let settled: readonly Envelope[] = [];
  let next = 0;
  let isPausing = false;
  let problem: unknown;

  function send(sending: Promise<void>) {
    const sent = sending
      .catch((error: unknown) => {
        problem ??= error;
      })
      .finally(() => unsent.delete(sent));
    unsent.add(sent);
  }

  function publishNext() {
    const part = parts[next++ % parts.length];
    if (!part) return;
    const first = part.impostorOf === undefined ? undefined : settled[part.impostorOf % (settled.length || 1)];
    const event = first ? impostor(first, part.event) : fresh(part.event);
    for (const form of part.forms) send(rig.ledger.publish(event, form));
    if (part.bad) send(rig.ledger.publishBad(part.bad, event));
  }

  const ticks = setInterval(() => {
    if (isPausing || unsent.size > 20_000) return;
    for (let i = 0; i < (eventsPerSecond * tickMs) / 1_000; i++) publishNext();
  }, tickMs);

  async function settle() {
    isPausing = true;
    await Promise.all(unsent);
    if (problem) throw problem;
    await rig.drained(180_000);
    await rig.ledger.check();
    settled = [...rig.ledger.events.values()];
    isPausing = false;
  }

  return {
    waiting: () => unsent.size,
    settle,
    [Symbol.dispose]: () => clearInterval(ticks),
    settled: () => settled.length,
  };
}
