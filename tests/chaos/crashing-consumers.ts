// The consumers as they are, on ports that kill the process with -9 when it passes a point. Runs as a process of its own.

import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { durablesOf } from '../../consumers/durables.ts';
import { runConsumers } from '../../consumers/run-consumers.ts';
import { createDeadLetterStore } from '../../features/dead-letter-store.ts';
import { createEventStore } from '../../features/event-store.ts';
import type { Bus, Delivery } from '../../platform/bus.ts';
import { openDatabase } from '../../platform/database.ts';
import { createLog } from '../../platform/log.ts';
import { openBus } from '../../platform/nats-bus.ts';
import { streams } from '../../platform/streams.ts';
import type { CrashPoint } from './crash-points.ts';

const env = (name: string): string => process.env[name] ?? '';
const crashAt = env('CRASH_AT');
let passagesLeft = Number(env('CRASH_PASSAGE'));
let isDying = false;

/** Long enough for what was sent to be on its way. */
const lastWordsMs = 50;
/** Long enough for a heartbeat. */
const slowMs = 700;

/** Whether this is the passage to die at. From then on nothing else happens in this process. */
function isLast(point: CrashPoint): boolean {
  if (point === crashAt && !isDying && --passagesLeft === 0) isDying = true;
  return isDying;
}

function die(): Promise<never> {
  writeSync(1, `killed ${crashAt}\n`);
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => {});
}

/** Dies here and now, or not at all. A process that is dying elsewhere gets no further. */
async function pass(point: CrashPoint): Promise<void> {
  if (isDying) await new Promise(() => {});
  if (isLast(point)) await die();
}

/** Sends, and dies once that has left. */
function send(point: CrashPoint, message: () => void): void {
  if (isDying) return;
  message();
  if (isLast(point)) setTimeout(die, lastWordsMs);
}

interface Points {
  readonly before: CrashPoint;
  readonly during: CrashPoint;
  readonly after: CrashPoint;
}

function stored<Args extends unknown[], Result>(points: Points, store: (...args: Args) => Promise<Result>) {
  return async (...args: Args): Promise<Result> => {
    if (crashAt === 'after a heartbeat') await sleep(slowMs);
    await pass(points.before);
    const storing = store(...args);
    if (isLast(points.during)) {
      await sleep(Math.random() * 5); // the statement is under way, or just committed
      await die();
    }
    const result = await storing;
    await pass(points.after);
    return result;
  };
}

function decorateDelivery(delivery: Delivery, isLetter: boolean): Delivery {
  return {
    subject: delivery.subject,
    data: delivery.data,
    headers: delivery.headers,
    sequence: delivery.sequence,
    takenAtMs: delivery.takenAtMs,
    deliveries: delivery.deliveries,
    ack: () =>
      send(isLetter ? 'after the acknowledgement of a letter' : 'after an acknowledgement', () => delivery.ack()),
    working: () => send('after a heartbeat', () => delivery.working()),
    terminate: () => send('after a termination', () => delivery.terminate()),
  };
}

function decorateBus(bus: Bus): Bus {
  return {
    ...bus,
    async publish(...args) {
      await pass('before burying');
      const ack = await bus.publish(...args);
      await pass('after burying');
      return ack;
    },
    async fetch(durable, options, take) {
      const isLetter = durable.stream === streams.deadletters.name;
      await pass('before a fetch');
      await bus.fetch(durable, options, async (delivery) => {
        await pass(isLetter ? 'after a letter was delivered' : 'after a delivery');
        take(decorateDelivery(delivery, isLetter));
      });
    },
  };
}

const database = openDatabase({ url: env('DATABASE_URL'), applicationName: 'crashing', maxConnections: 8 });
const events = createEventStore(database);
const letters = createDeadLetterStore(database);

await runConsumers({
  bus: decorateBus(await openBus({ url: env('NATS_URL'), name: 'crashing' })),
  eventStore: {
    store: stored({ before: 'before storing', during: 'while storing', after: 'after storing' }, events.store),
  },
  deadLetterStore: {
    store: stored(
      { before: 'before noting a letter', during: 'while noting a letter', after: 'after noting a letter' },
      letters.store,
    ),
  },
  log: createLog({ name: 'crashing', level: env('LOG_LEVEL'), pretty: false }),
  signal: new AbortController().signal,
  durables: durablesOf(Number(env('ACK_WAIT_MS'))),
});
