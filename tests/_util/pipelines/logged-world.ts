import { createHash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { drawsOf, seedOf } from '../../../experiments/draw.ts';
import { random } from '../../../experiments/policies/random.ts';
import { fold } from '../../../features/buckets.ts';
import { createEventStore } from '../../../features/event-store.ts';
import { readProfile } from '../../../features/profile.ts';
import { toTimestamp } from '../../../features/time.ts';
import { encodeVectors } from '../../../features/vector.ts';
import { type Envelope, EnvelopeSchema } from '../../../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction, TipKind, TipSource } from '../../../gen/proto/oo/events/v1/tip_pb.ts';
import { heldOutShare, isHeldOut, pseudonymOf } from '../../../pipelines/training/people.ts';
import { dayMs } from '../../../platform/clock.ts';
import type { Database } from '../../../platform/database.ts';
import type { Payload } from '../arbitraries.ts';
import { decided, decisionBy } from '../decisions.ts';
import { storePatiently } from '../tables.ts';

/** A world in which tips that are overdue are done and others are not, but for what chance does. */
export interface LoggedWorld {
  readonly name: string;
  /** People whom training sees, and people whom only evaluation sees. */
  readonly people: { readonly seen: number; readonly heldOut: number };
  readonly decisionsEach: number;
  /** Everything occurred and was stored before it. */
  readonly beforeMs: number;
  /** Default: for every decision but some. */
  readonly reacts?: (i: number) => boolean;
}

const eventsAtOnce = 500;

/** Of somebody of whom nothing is known. */
const profile = readProfile({ buckets: fold([]) }, 0);

/**
 * Stores what a policy that chooses at random has logged in a world, with what people did before and after. The same world
 * gives the same training set in every database.
 */
export async function storeWorld(database: Database, world: LoggedWorld): Promise<void> {
  const people = peopleOf(world);
  await storeAll(
    database,
    people.flatMap((userId, i) => pastOf(userId, i, world)),
    world,
  );
  const snapshot = await snapshotOf(database);
  await storeAll(
    database,
    people.flatMap((userId, i) => decisionsOf(userId, i, world, snapshot)),
    world,
  );
}

/**
 * Of a read that saw every event there is, where nobody else is at work. What Postgres says also tells of transactions in
 * other databases of the same server, so that it is not the same each time.
 */
async function snapshotOf(database: Database): Promise<string> {
  const { rows } = await database.query<{ next: string }>(
    'SELECT (max(transaction_id::text::int8) + 1)::text AS next FROM events',
  );
  const next = rows[0]?.next ?? '1';
  return `${next}:${next}:`;
}

function peopleOf({ name, people: { seen, heldOut } }: LoggedWorld): readonly string[] {
  const people: string[] = [];
  const left = { seen, heldOut };
  for (let i = 0; left.seen > 0 || left.heldOut > 0; i++) {
    const userId = `${name}-${i}`;
    const kind = isHeldOut(pseudonymOf(userId), heldOutShare) ? 'heldOut' : 'seen';
    if (left[kind] === 0) continue;
    left[kind]--;
    people.push(userId);
  }
  return people;
}

/** Half of the people were shown some tips, and half of these and of the others connected something. */
function pastOf(userId: string, person: number, { beforeMs }: LoggedWorld): readonly Envelope[] {
  const at = (name: string, payload: Payload) => eventOf(userId, name, beforeMs - 3 * dayMs, payload);
  const shown = Array.from({ length: person % 2 === 0 ? 6 : 0 }, (_, i) =>
    at(`shown ${i}`, { case: 'tipServed', value: { tipId: `old-${i}`, kind: TipKind.TASK, source: TipSource.LLM } }),
  );
  const connected = at('connected', { case: 'integrationConnected', value: { provider: 'todoist' } });
  return person % 4 < 2 ? [...shown, connected] : shown;
}

function decisionsOf(userId: string, person: number, world: LoggedWorld, snapshot: string): readonly Envelope[] {
  const { decisionsEach, beforeMs, reacts = (i) => i % 8 !== 7 } = world;
  const draws = drawsOf(seedOf(idOf(userId, 'chance')));
  return Array.from({ length: decisionsEach }, (_, i): readonly Envelope[] => {
    const next = (n: number) => draws.uniform(10 * i + n);
    const atMs = beforeMs - dayMs + i * 60_000;
    const candidates = [0, 1].map((n) => ({
      isOverdue: next(n) < 0.5,
      taskAgeDays: 30 * next(2 + n),
      priority: 1 + Math.floor(4 * next(4 + n)),
    }));
    const vectors = encodeVectors(candidates, profile, { hourOfDay: 9, dayOfWeek: 1 });
    const value = decisionBy(random, { vectors, requestId: idOf(userId, `request ${i}`) });
    const decisionId = idOf(userId, `decision ${i}`);
    const isDone = next(6) < (candidates[Number(value.tipId.slice(-1))]?.isOverdue ? 0.9 : 0.2);
    const reaction = isDone ? Reaction.DONE : Reaction.DISMISS;
    const feedback = { tipId: value.tipId, decisionId, reaction, dwellMs: 30_000n };
    const reacted = eventOf(userId, `reaction ${i}`, atMs + 1, { case: 'tipFeedback', value: feedback });
    return [
      decided(userId, atMs, { ...value, snapshot }, decisionId),
      ...(reacts(decisionsEach * person + i) ? [reacted] : []),
    ];
  }).flat();
}

function eventOf(userId: string, name: string, atMs: number, payload: Payload): Envelope {
  const eventId = idOf(userId, name);
  return create(EnvelopeSchema, {
    ...{ eventId, userId, payload, schemaVersion: 'v1', producer: 'test', occurredAt: toTimestamp(atMs) },
  });
}

/** The same UUID for the same name. */
function idOf(userId: string, name: string): string {
  const hex = createHash('sha256').update(`${userId} ${name}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** As if the store had taken them before the instant. */
async function storeAll(database: Database, events: readonly Envelope[], { beforeMs }: LoggedWorld): Promise<void> {
  const store = createEventStore(database);
  for (let i = 0; i < events.length; i += eventsAtOnce) await storePatiently(store, events.slice(i, i + eventsAtOnce));
  await database.query('UPDATE events SET received_at = to_timestamp($1 / 1000.0) WHERE event_id = ANY($2::uuid[])', [
    beforeMs - 60_000,
    events.map(({ eventId }) => eventId),
  ]);
}
