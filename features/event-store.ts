import type { Database } from '../platform/database.ts';
import { type Column, type ColumnType, columnsOf, type Delta, type TableName, tableNames } from './tables.ts';

/** A valid event on its way into the tables. */
export interface StoredEvent {
  readonly eventId: string;
  /** Full name of the payload's message. */
  readonly type: string;
  readonly userId: string;
  readonly occurredAtMs: number;
  readonly schemaVersion: string;
  readonly producer: string;
  /** The whole envelope in binary form, as it was published. */
  readonly envelope: Uint8Array;
  readonly deltas: readonly Delta[];
}

export interface EventStore {
  /**
   * Stores the events that are new and adds their deltas, all or nothing. Events that were stored before, or stand
   * twice in the list, add nothing. Returns how many were new. Errors are those of the database.
   */
  store(events: readonly StoredEvent[]): Promise<number>;
}

export function createEventStore(database: Database): EventStore {
  return {
    async store(events) {
      const { text, name, values } = storeStatement(events);
      const result = await database.query<{ stored: number }>({ text, name, values });
      return result.rows[0]?.stored ?? 0;
    },
  };
}

/**
 * One statement, so one transaction and one round trip: insert the events that are new, and add the deltas of exactly
 * those. Rows go in in the order of their keys, so that two batches that touch the same people wait for each other
 * instead of dying in a deadlock. Every column travels as one array.
 */
export function storeStatement(events: readonly StoredEvent[]): { text: string; name: string; values: unknown[] } {
  const distinct = [...new Map(events.toReversed().map((event) => [event.eventId, event])).values()]; // the first wins
  const touched = tableNames.filter((table) =>
    distinct.some(({ deltas }) => deltas.some((delta) => delta.table === table)),
  );
  return {
    text: statementText(touched),
    name: `store:${touched.join('+')}`,
    values: [...eventArrays(distinct), ...touched.flatMap((table) => deltaArrays(table, distinct))],
  };
}

function eventArrays(events: readonly StoredEvent[]): unknown[][] {
  return [
    events.map(({ eventId }) => eventId),
    events.map(({ type }) => type),
    events.map(({ userId }) => userId),
    events.map(({ occurredAtMs }) => occurredAtMs),
    events.map(({ schemaVersion }) => schemaVersion),
    events.map(({ producer }) => producer),
    events.map(({ envelope }) => `\\x${Buffer.from(envelope).toString('hex')}`),
  ];
}

/** The event each delta belongs to, then the delta's columns. */
function deltaArrays(table: TableName, events: readonly StoredEvent[]): unknown[][] {
  const rows = events.flatMap(({ eventId, deltas }) =>
    deltas
      .filter((delta) => delta.table === table)
      .map(({ row }) => ({ eventId, row: row as Readonly<Record<string, unknown>> })),
  );
  return [
    rows.map(({ eventId }) => eventId),
    ...columnsOf(table).map((column) => rows.map(({ row }) => toWire(row[column.name], column))),
  ];
}

function toWire(value: unknown, { type, role }: Column): unknown {
  if (value === undefined || value === null) return role === 'sum' ? 0 : null;
  return type === 'text[]' ? JSON.stringify(value) : value;
}

/** How a column travels, and how the database reads it from there. */
const wire: Readonly<Record<ColumnType, readonly [type: string, read: (value: string) => string]>> = {
  uuid: ['uuid', (value) => value],
  text: ['text', (value) => value],
  'text[]': ['text', (value) => `ARRAY(SELECT json_array_elements_text(${value}::json))`],
  int: ['int4', (value) => value],
  bigint: ['int8', (value) => value],
  float: ['float8', (value) => value],
  day: ['int4', (value) => `date '1970-01-01' + ${value}`],
  timestamp: ['int8', (value) => `to_timestamp(${value} / 1000.0)`],
};

const texts = new Map<string, string>(); // at most one for each set of tables

function statementText(touched: readonly TableName[]): string {
  const id = touched.join();
  const text = texts.get(id) ?? buildText(touched);
  texts.set(id, text);
  return text;
}

function buildText(touched: readonly TableName[]): string {
  let parameters = 0;
  const arrays = (types: readonly string[]) => types.map((type) => `$${++parameters}::${type}[]`).join(', ');
  const eventTypes = ['uuid', 'text', 'text', 'int8', 'text', 'text', 'text'];
  return `
    WITH new AS (
      INSERT INTO events (event_id, type, user_id, occurred_at, schema_version, producer, envelope)
      SELECT event_id, type, user_id, to_timestamp(occurred_at / 1000.0), schema_version, producer, envelope::bytea
      FROM unnest(${arrays(eventTypes)}) AS e(event_id, type, user_id, occurred_at, schema_version, producer, envelope)
      ORDER BY event_id
      ON CONFLICT (event_id) DO NOTHING
      RETURNING event_id AS source_event
    )${touched.map((table) => `, ${addDeltas(table, arrays(['uuid', ...columnsOf(table).map(({ type }) => wire[type][0])]))}`).join('')}
    SELECT count(*)::int AS stored FROM new`;
}

function addDeltas(table: TableName, arrays: string): string {
  const columns = columnsOf(table);
  const names = columns.map(({ name }) => name).join(', ');
  const keys = columns
    .filter(({ role }) => role === 'key')
    .map(({ name }) => name)
    .join(', ');
  const merges = columns.filter(isMerge);
  const keyNumbers = columns.flatMap(({ role }, i) => (role === 'key' ? [i + 1] : [])).join(', ');
  return `${table}_added AS (
      INSERT INTO ${table} AS t (${names})
      SELECT ${columns.map(contributed).join(', ')}
      FROM unnest(${arrays}) AS d(source_event, ${names}) JOIN new USING (source_event)
      ${merges.length > 0 ? `GROUP BY ${keyNumbers}` : ''}
      ORDER BY ${keyNumbers}
      ON CONFLICT (${keys}) ${merges.length > 0 ? `DO UPDATE SET ${merges.map(mergedUpdate).join(', ')}` : 'DO NOTHING'}
    )`;
}

const isMerge = ({ role }: Column): boolean => role !== 'key' && role !== 'set';

/** What a batch contributes to a column: sums of a group keep the column's type, which the database would widen. */
function contributed({ name, type, role }: Column): string {
  const [wireType, read] = wire[type];
  const value = read(`d.${name}`);
  if (role === 'sum') return `sum(${value})::${wireType}`;
  return role === 'max' || role === 'min' ? `${role}(${value})` : value;
}

function mergedUpdate({ name, role }: Column): string {
  if (role === 'sum') return `${name} = t.${name} + excluded.${name}`;
  return `${name} = ${role === 'max' ? 'greatest' : 'least'}(t.${name}, excluded.${name})`;
}
