import { setTimeout as sleep } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import { replayHeaders } from '../../../features/dead-letter.ts';
import type { DeadLetterStore, StoredLetter } from '../../../features/dead-letter-store.ts';
import {
  type ReplayDeadLettersRequest,
  type ReplayDeadLettersResponse,
  ReplayDeadLettersResponseSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { type Bus, BusError } from '../../../platform/bus.ts';
import type { Clock } from '../../../platform/clock.ts';
import { failedPrecondition, unavailable } from '../../../platform/errors.ts';
import type { Log } from '../../../platform/log.ts';
import { streams } from '../../../platform/streams.ts';
import { callerKey } from '../../interceptors/authenticate.ts';
import { readFilter } from './letter-filter.ts';

export interface ReplayDeadLettersDeps {
  readonly deadLetterStore: Pick<DeadLetterStore, 'find' | 'read' | 'markReplayed'>;
  readonly bus: Pick<Bus, 'publish'>;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info'>;
}

const maxPerSecondDefault = 100;
/** Letters of one call, and letters at once. */
const callMax = 50_000;
const stepMax = 50;
/** For a call without a deadline; the server gives every call one. */
const unboundedMs = 60_000;

/**
 * Publishes dead letters again as they were: their bytes, on their subject, so under their event ids. Stops in time for
 * its answer to come before the deadline. Each letter is published once in a call, however often it fails again.
 */
export function createReplayDeadLetters(deps: ReplayDeadLettersDeps) {
  return async (
    { filter, dryRun, maxPerSecond }: ReplayDeadLettersRequest,
    context: Pick<HandlerContext, 'signal' | 'timeoutMs' | 'values'>,
  ): Promise<ReplayDeadLettersResponse> => {
    const time = timeOf(context);
    const { matched, ids } = await deps.deadLetterStore.find(readFilter(filter), dryRun ? 0 : callMax);
    const counts: Counts = { matched, replayed: 0, refused: 0 };
    try {
      for await (const step of paced(ids, maxPerSecond || maxPerSecondDefault, time.stopAt, context.signal)) {
        await replay(deps, step, time.publishUntil, counts);
      }
    } finally {
      deps.log.info({ ...counts, dryRun, caller: context.values.get(callerKey).name }, 'replay of dead letters');
    }
    if (counts.refused > 0) throw refusedSome(counts);
    return create(ReplayDeadLettersResponseSchema, { matched: BigInt(matched), replayed: BigInt(counts.replayed) });
  };
}

interface Counts {
  readonly matched: number;
  replayed: number;
  refused: number;
}

/**
 * By `performance.now()`: when to begin no further step, and when to give up one that is begun. The rest, together a
 * quarter of the time or a second, is for marking and the answer.
 */
function timeOf({ timeoutMs }: Pick<HandlerContext, 'timeoutMs'>) {
  const leftMs = timeoutMs() ?? unboundedMs;
  const restMs = Math.min(leftMs / 4, 1_000);
  const endsAt = performance.now() + leftMs;
  return { stopAt: endsAt - restMs, publishUntil: endsAt - restMs / 2 };
}

/** Gives ids in steps of a tenth of a second or less, never faster than allowed, until `stopAt`. */
async function* paced(
  ids: readonly string[],
  perSecond: number,
  stopAt: number,
  signal: AbortSignal,
): AsyncGenerator<readonly string[]> {
  const size = Math.min(stepMax, Math.ceil(perSecond / 10));
  let nextAt = 0;
  for (let from = 0; from < ids.length; from += size) {
    const beginsAt = Math.max(nextAt, performance.now());
    if (beginsAt >= stopAt) return;
    await sleep(Math.max(0, beginsAt - performance.now()), undefined, { signal });
    const step = ids.slice(from, from + size);
    nextAt = performance.now() + (step.length / perSecond) * 1000;
    yield step;
  }
}

/** Publishes some letters at once and marks those that their streams have. */
async function replay(
  { deadLetterStore, bus, clock }: ReplayDeadLettersDeps,
  ids: readonly string[],
  publishUntil: number,
  counts: Counts,
): Promise<void> {
  const nowMs = clock();
  const letters = await deadLetterStore.read(ids);
  const replays = letters.map((letter) => ({ letter, id: letter.id, atMs: replayedAt(letter, nowMs) }));
  const timeoutMs = Math.max(0, publishUntil - performance.now());
  const results = await Promise.allSettled(replays.map(({ letter, atMs }) => publish(bus, letter, atMs, timeoutMs)));
  const published = replays.filter((_, i) => results[i]?.status === 'fulfilled');
  await deadLetterStore.markReplayed(published);
  counts.replayed += published.length;
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    if (!(result.reason instanceof BusError)) throw result.reason;
    if (result.reason.kind === 'unavailable') throw busUnavailable(counts, result.reason);
    counts.refused++;
  }
}

/** Later than all that is known of the letter, whatever the clocks of other machines said. */
function replayedAt({ lastSeenAtMs, replayedAtMs }: StoredLetter, nowMs: number): number {
  return Math.max(nowMs, lastSeenAtMs, (replayedAtMs ?? 0) + 1);
}

/** The message id differs from replay to replay, or the stream would take the later ones for repeats of the first. */
async function publish(bus: Pick<Bus, 'publish'>, letter: StoredLetter, atMs: number, timeoutMs: number) {
  if (!streamTakes(letter.subject)) throw new BusError('refused', 'no stream takes the subject');
  const contentType = Object.entries(letter.headers).filter(([name]) => name.toLowerCase() === 'content-type');
  await bus.publish(letter.subject, letter.data, {
    id: `replay:${letter.id}:${atMs}`,
    timeoutMs,
    headers: { ...Object.fromEntries(contentType), ...replayHeaders(letter, atMs) },
  });
}

/** The bus cannot tell a subject that belongs nowhere from a stream that is away. */
function streamTakes(subject: string): boolean {
  return Object.values(streams).some(
    ({ name, subjects }) =>
      name !== streams.deadletters.name && subjects.some((pattern) => subject.startsWith(pattern.replace('>', ''))),
  );
}

const metadataOf = (counts: Counts) =>
  Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, String(count)]));

function refusedSome(counts: Counts) {
  const { matched, replayed, refused } = counts;
  const message = `${replayed} of ${matched} were replayed, but no stream takes ${refused} of the others: their subject belongs to none, or they are too large`;
  return failedPrecondition('LETTERS_REFUSED', message, { metadata: metadataOf(counts) });
}

function busUnavailable(counts: Counts, cause: unknown) {
  const message = `the bus is away; ${counts.replayed} of ${counts.matched} were replayed`;
  return unavailable('BUS_UNAVAILABLE', message, { metadata: metadataOf(counts), cause });
}
