// Any sequence of publishing, starting, stopping, killing and draining: whenever all is settled, the tables equal the
// pure fold over the distinct valid events, and each message that could not be stored is one dead letter. Under
// `npm run soak` the sequences are longer, last for minutes, and the servers are killed as well.

import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Envelope } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import type { NodeProcess } from '../_util/node-process.ts';
import { startTestPostgres, type TestServer } from '../_util/servers.ts';
import { type BadKind, badKinds, type Form } from './ledger.ts';
import { ackWaitMs, type Rig, startOutageRig } from './rig.ts';
import { anyEvent, anyForm, fresh, impostor } from './story.ts';

const { SOAK_MINUTES: minutes = 10, SOAK_SEED: seed, SOAK_PATH: path } = process.env;
const isSoak = process.env.SOAK !== undefined;
const limitMs = isSoak ? Number(minutes) * 15_000 : 20_000;

/** What has been published in this run: of what is not settled yet, nobody knows which of two under one id is first. */
interface Model {
  published: Envelope[];
  settled: Envelope[];
  processes: number;
}

interface Real {
  readonly rig: Rig;
  readonly postgres: TestServer;
  readonly processes: NodeProcess[];
}

type Command = fc.AsyncCommand<Model, Real>;

function command(name: string, run: (model: Model, real: Real) => Promise<void>, check?: (model: Model) => boolean) {
  return { toString: () => name, run, check: check ?? (() => true) } satisfies Command;
}

/** One of a list that may be empty. */
const pick = <Item>(items: readonly Item[], nth: number): Item[] => items.slice(nth % (items.length || 1)).slice(0, 1);

interface Part {
  readonly event: Envelope;
  readonly forms: readonly Form[];
}

const publish = (parts: readonly Part[]): Command =>
  command(`publish ${parts.length} events`, async (model, { rig }) => {
    await Promise.all(
      parts.map(async ({ event, forms }) => {
        const own = fresh(event);
        model.published.push(own);
        await Promise.all(forms.map((form) => rig.ledger.publish(own, form)));
      }),
    );
  });

const publishAgain = (nth: number, forms: readonly Form[]): Command =>
  command(
    `publish event ${nth} again, ${forms.length} times`,
    async (model, { rig }) => {
      for (const event of pick([...model.published, ...model.settled], nth))
        await Promise.all(forms.map((form) => rig.ledger.publish(event, form)));
    },
    ({ published, settled }) => published.length + settled.length > 0,
  );

const publishImpostor = (nth: number, other: Envelope, form: Form): Command =>
  command(
    `publish another event under the id of event ${nth}`,
    async ({ settled }, { rig }) => {
      for (const first of pick(settled, nth)) await rig.ledger.publish(impostor(first, other), form);
    },
    ({ settled }) => settled.length > 0,
  );

const publishBad = (kind: BadKind, like: Envelope): Command =>
  command(`publish ${kind}`, (_, { rig }) => rig.ledger.publishBad(kind, like));

const start = command(
  'start a process',
  async (model, { rig, processes }) => {
    model.processes++;
    processes.push(rig.start());
  },
  ({ processes }) => processes < 3,
);

const isAnyRunning = ({ processes }: Model) => processes > 0;

const kill = (nth: number, afterMs: number): Command =>
  command(
    `kill a process after ${afterMs} ms`,
    async (model, { processes }) => {
      await sleep(afterMs);
      model.processes--;
      for (const process of processes.splice(nth % processes.length, 1)) await process.kill();
    },
    isAnyRunning,
  );

const stop = (nth: number): Command =>
  command(
    'stop a process',
    async (model, { processes }) => {
      model.processes--;
      for (const process of processes.splice(nth % processes.length, 1)) await process.stop();
    },
    isAnyRunning,
  );

const pause = (nth: number): Command =>
  command(
    'pause a process for longer than the ack wait',
    async (_, { processes }) => {
      for (const { pid } of pick(processes, nth)) {
        process.kill(pid, 'SIGSTOP');
        await sleep(ackWaitMs * 1.3);
        process.kill(pid, 'SIGCONT');
      }
    },
    isAnyRunning,
  );

const killServer = (which: 'nats' | 'postgres', downMs: number): Command =>
  command(`kill ${which} for ${downMs} ms`, async (_, { rig, postgres }) => {
    const server = which === 'nats' ? rig.nats : postgres;
    await server.kill();
    await sleep(downMs);
    await server.restart();
  });

const drain = command('drain and compare', async (model, { rig, processes }) => {
  if (processes.length === 0) {
    processes.push(rig.start());
    model.processes++;
  }
  await rig.drained();
  for (const process of processes) expect(process.isRunning(), process.output()).toBe(true);
  await rig.ledger.check();
  model.settled.push(...model.published.splice(0));
});

const anyForms = fc.array(anyForm, { minLength: 1, maxLength: 3 });
const nth = fc.nat(50);

const anyCommands = fc.commands(
  [
    ...repeat(
      4,
      fc
        .array(fc.record({ event: anyEvent, forms: anyForms }), { minLength: 5, maxLength: 60, size: 'max' })
        .map(publish),
    ),
    ...repeat(
      2,
      fc.tuple(nth, anyForms).map((args) => publishAgain(...args)),
    ),
    ...repeat(
      2,
      fc.tuple(nth, anyEvent, anyForm).map((args) => publishImpostor(...args)),
    ),
    ...repeat(
      2,
      fc.tuple(fc.constantFrom(...badKinds), anyEvent).map((args) => publishBad(...args)),
    ),
    ...repeat(3, fc.constant(start)),
    ...repeat(
      3,
      fc.tuple(nth, fc.nat(400)).map((args) => kill(...args)),
    ),
    nth.map(stop),
    nth.map(pause),
    ...repeat(2, fc.constant(drain)),
    ...(isSoak
      ? [fc.tuple(fc.constantFrom('nats', 'postgres'), fc.nat(3_000)).map((args) => killServer(...args))]
      : []),
  ],
  { size: 'max', maxCommands: isSoak ? 60 : 25 },
);

/** Each entry is as likely as another. */
function repeat(times: number, commands: fc.Arbitrary<Command>): fc.Arbitrary<Command>[] {
  return Array.from({ length: times }, () => commands);
}

let rig: Rig;
let postgres: TestServer;
beforeAll(async () => {
  postgres = await startTestPostgres();
  rig = await startOutageRig(postgres);
});
afterAll(() => rig[Symbol.asyncDispose]());

it('any sequence of commands ends where the fold does', { timeout: limitMs + 300_000 }, async () => {
  const endsAt = performance.now() + limitMs;
  let runs = 0;
  const property = fc.asyncProperty(anyCommands, async (commands) => {
    if (performance.now() > endsAt) return;
    runs++;
    const real: Real = { rig, postgres, processes: [] };
    const model: Model = { published: [], settled: [], processes: 0 };
    try {
      await fc.asyncModelRun(() => ({ model, real }), commands);
      await drain.run(model, real);
    } finally {
      await Promise.all(real.processes.map((process) => process.kill()));
    }
  });
  const result = await fc.check(property, {
    numRuns: 2_000,
    endOnFailure: true, // every shrunk run would cost as much as the first
    ...(seed && { seed: Number(seed) }),
    ...(path && { path }),
  });
  const replay = `SOAK_SEED=${result.seed} SOAK_PATH=${result.counterexamplePath}`;
  expect(result.failed, `${await fc.asyncDefaultReportMessage(result)}\nAgain: ${replay}`).toBe(false);
  expect(runs).toBeGreaterThan(0);
  if (isSoak) console.log(`model: ${runs} sequences, ${rig.ledger.events.size} events, seed ${result.seed}`);
});
