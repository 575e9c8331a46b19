import { setTimeout as sleep } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { measureBandits } from '../experiments/bandit-store.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { measureLearnt } from '../experiments/population-store.ts';
import { createRewardStore } from '../experiments/reward-store.ts';
import { createShadowStore } from '../experiments/shadow-store.ts';
import { type OpenTip, readOpenTips } from '../features/outcome-store.ts';
import { dropPartitions, ensurePartitions } from '../features/partitions-store.ts';
import { measurePopulation } from '../features/population-store.ts';
import { toTimestamp } from '../features/time.ts';
import { subjects } from '../gen/proto/oo/contract.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Bus } from '../platform/bus.ts';
import { type Clock, dayMs } from '../platform/clock.ts';
import type { Database } from '../platform/database.ts';
import type { Followed } from '../platform/follow.ts';
import { idAt } from '../platform/ids.ts';
import type { Log } from '../platform/log.ts';

/** Work that time brings, not events. Doing it twice, or in several processes at once, does no harm. */
export interface Chore {
  readonly name: string;
  readonly everyMs: number;
  readonly run: (nowMs: number) => Promise<unknown>;
}

export interface ChoresDeps {
  readonly bus: Pick<Bus, 'publish'>;
  readonly database: Database;
}

export interface ChoresOptions {
  /** A tip that was shown this long ago, and that nobody has reacted to, was ignored. */
  readonly ignoredAfterMs: number;
  /** Months of events that are kept beside the current one. Undefined: all. */
  readonly keepMonths: number | undefined;
}

export function createChores({ bus, database }: ChoresDeps, { ignoredAfterMs, keepMonths }: ChoresOptions): Chore[] {
  const ignoredOf = (fromMs: number, nowMs: number) => sayIgnored(bus, database, { fromMs, nowMs, ignoredAfterMs });
  const chores: Chore[] = [
    { name: 'partitions', everyMs: dayMs / 4, run: (nowMs) => ensurePartitions(database, nowMs) },
    { name: 'population', everyMs: dayMs / 4, run: (nowMs) => measurePopulation(database, nowMs) },
    { name: 'learnt population', everyMs: 600_000, run: () => measureLearnt(database) },
    { name: 'bandits', everyMs: 600_000, run: () => measureBandits(database) },
    { name: 'ignored tips', everyMs: 60_000, run: (nowMs) => ignoredOf(nowMs - recentMs, nowMs) },
    { name: 'ignored tips that came late', everyMs: dayMs / 4, run: (nowMs) => ignoredOf(0, nowMs) },
  ];
  if (keepMonths === undefined) return chores;
  const retention = (nowMs: number) => dropPartitions(database, { keepMonths, nowMs });
  return [...chores, { name: 'retention', everyMs: dayMs / 4, run: retention }];
}

/** On a database of its own, since a chore above may take minutes. */
export function createRewardChore(database: Database): Chore {
  const store = createRewardStore(database);
  const run = async () => {
    while ((await store.rewardTips()) > 0);
  };
  return { name: 'rewards', everyMs: 500, run };
}

/** Ends a shadow's turn, also with years of decisions before it: the others wait for the longest one. */
const batchesOfTurn = 10;

/** What policies in the shadow would have done. They take turns at the same time, so that one that fails holds up none. */
export function createShadowChores(
  database: Database,
  shadows: Pick<Followed<ReadonlySet<Policy>>, 'current'>,
): Chore[] {
  const store = createShadowStore(database);
  const takeTurn = async (policy: Policy) => {
    for (let batch = 0; batch < batchesOfTurn && shadows.current().has(policy); batch++)
      if ((await store.scoreNext(policy)) === 0) return;
  };
  const run = async () => {
    const policies = [...shadows.current()];
    const turns = await Promise.allSettled(policies.map(takeTurn));
    const failures = turns.flatMap((turn, i) =>
      turn.status === 'rejected' ? [`${policies[i]?.name}: ${String(turn.reason)}`] : [],
    );
    if (failures.length > 0) throw new Error(failures.join('; '));
  };
  return [
    { name: 'shadows', everyMs: 500, run },
    { name: 'old shadow scores', everyMs: dayMs / 4, run: (nowMs) => store.forget(nowMs) },
  ];
}

/** Tips that fell due within this time are looked for every minute. All there are, now and then: that reads the whole table. */
const recentMs = dayMs;

interface Due {
  /** Tips that were due from then on, until now. */
  readonly fromMs: number;
  readonly nowMs: number;
  readonly ignoredAfterMs: number;
}

/** The id says which tip it was, so that an event that is published again, or by two processes, counts once. */
async function sayIgnored(bus: ChoresDeps['bus'], database: Database, { fromMs, nowMs, ignoredAfterMs }: Due) {
  const shown = { fromMs: Math.max(0, fromMs - ignoredAfterMs), beforeMs: nowMs - ignoredAfterMs };
  for await (const page of readOpenTips(database, shown)) {
    await Promise.all(
      page.map((tip) => bus.publish(subject, ignored(tip, ignoredAfterMs), { id: idOf(tip), timeoutMs })),
    );
  }
}

const { subject } = subjects.tipIgnored;
const timeoutMs = 10_000;

const idOf = ({ userId, tipId, decisionId, servedAtMs }: OpenTip): string =>
  idAt(servedAtMs, JSON.stringify(['oo.events.v1.TipIgnored', userId, tipId, decisionId]));

function ignored(tip: OpenTip, waitedMs: number): Uint8Array {
  const { userId, tipId, decisionId, servedAtMs } = tip;
  const envelope = create(EnvelopeSchema, {
    eventId: idOf(tip),
    occurredAt: toTimestamp(servedAtMs + waitedMs),
    schemaVersion: 'v1',
    producer: 'oo-ml',
    userId,
    payload: { case: 'tipIgnored', value: { tipId, decisionId, waitedMs: BigInt(waitedMs) } },
  });
  return toBinary(EnvelopeSchema, envelope);
}

const pauseAfterFailureMs = 5_000;

/**
 * Does each chore at once and then at its pace, until `signal`, which the chores' database should break off: none of them
 * looks whether it should end. What fails is tried again at its next time.
 */
export async function runChores(
  chores: readonly Chore[],
  { clock, log, signal }: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  const loops = chores.map(async ({ name, everyMs, run }) => {
    while (!signal.aborted) {
      let pauseMs = everyMs;
      await run(clock()).catch((error: unknown) => {
        if (!signal.aborted) log.warn({ chore: name, error: String(error) }, 'chore failed');
        pauseMs = Math.max(everyMs, pauseAfterFailureMs);
      });
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
    }
  });
  await Promise.all(loops);
}
