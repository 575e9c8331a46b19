import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { deltas } from '../../consumers/deltas.ts';
import { rowAsJson } from '../../features/columns.ts';
import type { EventStore, StoredEvent } from '../../features/event-store.ts';
import { type ColumnType, columnsOf, type TableName, tableNames } from '../../features/tables.ts';
import { toMs, toTimestamp } from '../../features/time.ts';
import { type Envelope, EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { classifyFailure, type Database } from '../../platform/database.ts';
import { newId } from '../../platform/ids.ts';
import { anyPersonEvent, type Payload } from './arbitraries.ts';

/** What the consumers make of an event. */
export const storedOf = (event: Envelope): StoredEvent => ({
  eventId: event.eventId.toLowerCase(),
  type: event.payload.value?.$typeName ?? '',
  userId: event.userId,
  occurredAtMs: toMs(event.occurredAt),
  schemaVersion: event.schemaVersion,
  producer: event.producer,
  envelope: toBinary(EnvelopeSchema, event),
  deltas: deltas(event),
});

/** Stores as the consumers do: again, where others were in the way. */
export async function storePatiently(store: EventStore, events: readonly Envelope[]): Promise<number> {
  for (;;) {
    try {
      return (await store.store(events.map(storedOf))).stored;
    } catch (error) {
      if (classifyFailure(error) !== 'outage') throw error;
    }
  }
}

/** A tip that was shown to a person, at an instant. Some ids are in upper case, as producers may write them. */
export function shown(userId: string, atMs: number, tipId = 'tip', eventId = newId(atMs).toUpperCase()): Envelope {
  return create(EnvelopeSchema, {
    eventId,
    userId,
    occurredAt: toTimestamp(atMs),
    schemaVersion: 'v1',
    producer: 'test',
    payload: { case: 'tipServed', value: { tipId } },
  });
}

/** Events that write to any of the tables, each with an id of its own. */
export function anyEvents(userIds: readonly string[], size: { minLength: number; maxLength: number }) {
  const anyDecision = fc
    .tuple(anyPersonEvent(userIds), fc.boolean(), fc.float({ noNaN: true, noDefaultInfinity: true }))
    .map(([{ eventId, userId, occurredAt, schemaVersion, producer }, isScore, score]): Envelope => {
      const tip = { tipId: 'tip-1', kind: TipKind.ADVICE, source: TipSource.LLM };
      const chosen = { ...tip, promptVersion: 'v1', score, propensity: 0.25 };
      const experiments = [
        { experiment: 'a', version: '1', arm: score > 0 ? 'x' : 'y', propensity: 0.5 },
        ...(Math.abs(score) > 1 ? [{ experiment: 'b "c", {d}', arm: '', propensity: 1 }] : []),
      ];
      const elapsedMicros = Math.abs(score) > 1 ? 0 : 1_500;
      const scored = {
        requestId: eventId,
        tipId: 'tip-1',
        policy: 'p',
        candidates: [chosen],
        experiments,
        elapsedMicros,
      };
      const written = [{ ...tip, signalIds: ['a', 'b "c"'] }, { tipId: 'tip-2' }];
      const generated = { promptVersion: 'v1', promptHash: 'h', tips: written };
      const payload: Payload = isScore
        ? { case: 'tipScored', value: scored }
        : { case: 'tipGenerated', value: generated };
      return create(EnvelopeSchema, {
        ...{ eventId, userId, schemaVersion, producer, payload },
        ...(occurredAt && { occurredAt }),
      });
    });
  const anyEvent = fc.oneof({ weight: 4, arbitrary: anyPersonEvent(userIds) }, { weight: 1, arbitrary: anyDecision });
  return fc.uniqueArray(anyEvent, { ...size, size: 'max', selector: ({ eventId }) => eventId });
}

/** All rows of all tables as text, sorted. */
export async function tableRows(database: Database): Promise<Record<TableName, readonly string[]>> {
  const selects = tableNames.map(
    (table) => `(SELECT coalesce(json_agg(row ORDER BY row), '[]') FROM
      (SELECT ${rowAsJson(table)}::text AS row FROM ${table}) AS r) AS ${table}`,
  );
  const { rows } = await database.query<Record<TableName, readonly string[]>>(`SELECT ${selects.join(', ')}`);
  const [first] = rows;
  if (!first) throw new Error('no row');
  return first;
}

/** What can go wrong with a table. `nth` picks a row, `column` a column, each as far as there are any. */
export interface Damage {
  readonly table: TableName;
  readonly kind: 'delete' | 'change' | 'add';
  readonly nth: number;
  readonly column: number;
}

export const anyDamage: fc.Arbitrary<Damage> = fc.record({
  table: fc.constantFrom(...tableNames),
  kind: fc.constantFrom('delete', 'change', 'add'),
  nth: fc.nat(40),
  column: fc.nat(20),
});

/** Values that no event of the tests leads to. */
const wrong: Readonly<Record<ColumnType, string>> = {
  uuid: "'deadbeef-dead-4eef-8ead-deadbeefdead'",
  text: "'wrong'",
  'text[]': "ARRAY['wrong', 'very']",
  'int[]': 'ARRAY[7, 77]',
  int: '77',
  bigint: '7777777777',
  float: '7.7',
  day: "date '2026-02-14'",
  timestamp: "timestamptz '2026-02-14T07:07:07.007Z'",
};

/** Does it. An added row is of one of `userIds`, who may be nobody that events know. */
export async function inflict(database: Database, damage: Damage, userIds: readonly string[]): Promise<void> {
  const { table, kind, nth, column } = damage;
  const columns = columnsOf(table);
  const keys = columns.filter(({ role }) => role === 'key').map(({ name }) => name);
  const row = `(${keys.join(', ')}) IN (SELECT ${keys.join(', ')} FROM ${table} ORDER BY ${keys.join(', ')} LIMIT 1 OFFSET ${nth % 8})`;
  if (kind === 'delete') await database.query(`DELETE FROM ${table} WHERE ${row}`);
  const values = columns.filter(({ role, name }) => role !== 'key' && name !== 'user_id');
  const changed = values[column % values.length];
  if (kind === 'change' && changed) {
    await database.query(`UPDATE ${table} SET ${changed.name} = ${wrong[changed.type]} WHERE ${row}`);
  }
  if (kind === 'add') {
    const userId = `'${userIds[nth % userIds.length]}'`;
    const added = columns.map(({ name, type }) => (name === 'user_id' ? userId : wrong[type]));
    await database.query(
      `INSERT INTO ${table} (${columns.map(({ name }) => name).join(', ')}) VALUES (${added.join(', ')}) ON CONFLICT DO NOTHING`,
    );
  }
}

/** Where in the table every row lies, and which transaction wrote it. */
export async function rowVersions(database: Database): Promise<Record<string, unknown>> {
  const selects = tableNames.map(
    (table) =>
      `(SELECT json_agg(v ORDER BY v) FROM (SELECT ctid::text || ' ' || xmin::text AS v FROM ${table}) AS r) AS ${table}`,
  );
  return (await database.query<Record<string, unknown>>(`SELECT ${selects.join(', ')}`)).rows[0] ?? {};
}

/** Moves an event to the partition of the month of a day, as if it had been stored on it. */
export async function storedOn(database: Database, eventId: string, day: string): Promise<void> {
  await database.query('UPDATE events SET stored_on = $2::date WHERE event_id = $1', [eventId, day]);
}

/** Whether somebody in this database waits for a lock. */
export async function isWaitedFor(database: Database): Promise<boolean> {
  const { rows } = await database.query(
    "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
  );
  return rows.length > 0;
}
