import type { Database } from '../platform/database.ts';
import { type ArrayParameter, bytesArray, plainArray, textArray, uuidArray } from '../platform/postgres-arrays.ts';
import { columnArray, timestampOf, wireOf } from './columns.ts';
import { userHash } from './erasure-store.ts';
import {
  type Column,
  columnsOf,
  type Delta,
  isMerged,
  type Table,
  type TableName,
  tableNames,
  tables,
} from './tables.ts';

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

/** What became of a list of events. The rest were stored before, or stood twice in the list. */
export interface Stored {
  readonly stored: number;
  /** Events of people who were erased. */
  readonly refused: number;
}

export interface EventStore {
  /**
   * Stores the events that are new and adds their deltas, all or nothing. Events that were stored before, or stand
   * twice in the list, add nothing; those of erased people are refused. Errors are those of the database.
   */
  store(events: readonly StoredEvent[]): Promise<Stored>;
}

export function createEventStore(database: Database): EventStore {
  return {
    async store(events) {
      const result = await database.query<Stored>(storeStatement(events));
      return result.rows[0] ?? { stored: 0, refused: 0 };
    },
  };
}

/**
 * One statement, so one transaction and one round trip: insert the ids that are new, and store the events and add the
 * deltas of exactly those. Rows go in in the order of their keys, so that two batches that touch the same people wait
 * for each other instead of dying in a deadlock. Every column travels as one array.
 */
export function storeStatement(events: readonly StoredEvent[]): {
  text: string;
  name: string;
  values: ArrayParameter[];
} {
  const distinct = [...new Map(events.toReversed().map((event) => [event.eventId, event])).values()]; // the first wins
  const contributions = contributionsOf(distinct);
  const shape = contributions
    .map(({ table, isGrouped }) => `${tableNames.indexOf(table)}${isGrouped ? 'g' : ''}`)
    .join('-');
  return {
    text: statementText(shape, contributions),
    name: `store-${shape}`, // Postgres cuts names at 63 bytes
    values: [...eventArrays(distinct), ...contributions.flatMap(({ arrays }) => arrays)],
  };
}

function eventArrays(events: readonly StoredEvent[]): ArrayParameter[] {
  return [
    uuidArray(events.map(({ eventId }) => eventId)),
    plainArray(events.map(({ type }) => type)),
    textArray(events.map(({ userId }) => userId)),
    plainArray(events.map(({ occurredAtMs }) => occurredAtMs)),
    textArray(events.map(({ schemaVersion }) => schemaVersion)),
    textArray(events.map(({ producer }) => producer)),
    bytesArray(events.map(({ envelope }) => envelope)),
  ];
}

/** What a list of events adds to one table. */
interface Contribution {
  readonly table: TableName;
  /** The place in the list of the event that each row belongs to, from 1; then the row's columns. */
  readonly arrays: readonly ArrayParameter[];
  /** Whether several rows add to the same one: only then must they be added up first. */
  readonly isGrouped: boolean;
}

function contributionsOf(events: readonly StoredEvent[]): readonly Contribution[] {
  const byTable = Object.groupBy(
    events.flatMap(({ deltas }, i) => deltas.map(({ table, row }) => ({ place: i + 1, table, row }))),
    ({ table }) => table,
  );
  return tableNames.flatMap((table) => {
    const deltas = byTable[table];
    if (!deltas) return [];
    const rows = deltas.map(({ row }) => row);
    const arrays = [
      plainArray(deltas.map(({ place }) => place)),
      ...columnsOf(table).map((column) => columnArray(rows, column)),
    ];
    return [{ table, arrays, isGrouped: isMerged(table) && hasRepeats(table, rows) }];
  });
}

function hasRepeats(table: TableName, rows: readonly Readonly<Record<string, unknown>>[]): boolean {
  const keys = Object.keys(tables[table].key);
  const distinct = new Set(rows.map((row) => keys.map((key) => row[key]).join('\0')));
  return distinct.size < rows.length;
}

const texts = new Map<string, string>(); // at most one for each shape

function statementText(shape: string, contributions: readonly Contribution[]): string {
  const text = texts.get(shape) ?? buildText(contributions);
  texts.set(shape, text);
  return text;
}

/**
 * Whoever erases a person locks `erasures`. This statement takes its snapshot after its locks, so it either ends before
 * the erasure begins or sees it.
 */
function buildText(contributions: readonly Contribution[]): string {
  const eventTypes = ['uuid', 'text', 'text', 'int8', 'text', 'text', 'bytea'];
  let parameters = eventTypes.length;
  const arrays = (types: readonly string[]) => types.map((type) => `$${++parameters}::${type}[]`).join(', ');
  return `
    WITH erased AS (
      SELECT asked.user_id, asked.events, erasures.user_hash
      FROM (SELECT user_id, count(*) AS events FROM unnest($3::text[]) AS a(user_id)
        WHERE EXISTS (SELECT FROM erasures) GROUP BY user_id) AS asked
      JOIN erasures ON erasures.user_hash = ${userHash('asked.user_id')}
      ORDER BY erasures.user_hash FOR NO KEY UPDATE OF erasures
    ), refused AS (
      UPDATE erasures SET refused_events = refused_events + erased.events
      FROM erased WHERE erasures.user_hash = erased.user_hash
    ), new AS (
      INSERT INTO event_ids (event_id)
      SELECT event_id FROM unnest($1::uuid[], $3::text[]) AS a(event_id, user_id)
      WHERE user_id <> ALL (ARRAY(SELECT user_id FROM erased))
      ORDER BY event_id
      ON CONFLICT (event_id) DO NOTHING
      RETURNING event_id
    ), placed AS (
      SELECT place::int FROM unnest($1::uuid[]) WITH ORDINALITY AS a(event_id, place) JOIN new USING (event_id)
    ), stored AS (
      INSERT INTO events (event_id, type, user_id, occurred_at, schema_version, producer, envelope)
      SELECT event_id, type, user_id, ${timestampOf('occurred_at')}, schema_version, producer, envelope
      FROM unnest(${eventTypes.map((type, i) => `$${i + 1}::${type}[]`).join(', ')})
        AS e(event_id, type, user_id, occurred_at, schema_version, producer, envelope)
      JOIN new USING (event_id)
    )${contributions.map(({ table, isGrouped }) => `, ${addDeltas(table, isGrouped, arrays(['int4', ...columnsOf(table).map((column) => wireOf(column).type)]))}`).join('')}
    SELECT (SELECT count(*) FROM new)::int AS stored, (SELECT coalesce(sum(events), 0) FROM erased)::int AS refused`;
}

function addDeltas(table: TableName, isGrouped: boolean, arrays: string): string {
  const columns = columnsOf(table);
  const names = columns.map(({ name }) => name).join(', ');
  const keys = namesOf(columns, 'key').join(', ');
  const keyNumbers = columns.flatMap(({ role }, i) => (role === 'key' ? [i + 1] : [])).join(', ');
  const order = registerOrder(table);
  const updates = columns
    .filter(({ role }) => role !== 'key' && role !== 'set')
    .map((column) => `${column.name} = ${merged(column, order)}`);
  return `${table}_added AS (
      INSERT INTO ${table} AS t (${names})
      SELECT ${columns.map((column) => contributed(column, isGrouped ? order : undefined)).join(', ')}
      FROM unnest(${arrays}) AS d(place, ${names}) JOIN placed USING (place)
      ${isGrouped ? `GROUP BY ${keyNumbers}` : ''}
      ORDER BY ${keyNumbers}
      ON CONFLICT (${keys}) ${isMerged(table) ? `DO UPDATE SET ${updates.join(', ')}` : 'DO NOTHING'}
    )`;
}

const namesOf = (columns: readonly Column[], role: Column['role']): string[] =>
  columns.filter((column) => column.role === role).map(({ name }) => name);

interface Order {
  readonly columns: readonly string[];
  readonly keep: 'first' | 'last';
}

function registerOrder(table: TableName): Order {
  const { register }: Table = tables[table];
  return { columns: namesOf(columnsOf(table), 'order'), keep: register?.keep ?? 'first' };
}

/**
 * What a list of events contributes to a column: the rows of one key added up, if there are several. Sums keep the
 * column's type, which the database would widen.
 */
function contributed(column: Column, group: Order | undefined): string {
  const { name, role } = column;
  const { type, read } = wireOf(column);
  const value = read(`d.${name}`);
  if (!group) return value;
  switch (role) {
    case 'key':
    case 'set':
      return value;
    case 'sum':
      return `sum(${value})::${type}`;
    case 'max':
    case 'min':
      return `${role}(${comparable(value, column)})`;
    case 'order':
    case 'carried': {
      const order = group.columns.map((each) => `d.${each}${group.keep === 'last' ? ' DESC' : ''}`).join(', ');
      return `(array_agg(${value} ORDER BY ${order}) FILTER (WHERE d.${group.columns[0]} IS NOT NULL))[1]`;
    }
  }
}

/** What a column becomes where the row is there: `t` is the row, `excluded` the contribution. */
function merged(column: Column, { columns, keep }: Order): string {
  const { name, role } = column;
  switch (role) {
    case 'key':
    case 'set':
      return `t.${name}`;
    case 'sum':
      return `t.${name} + excluded.${name}`;
    case 'max':
      return `greatest(${comparable(`t.${name}`, column)}, excluded.${name})`;
    case 'min':
      return `least(${comparable(`t.${name}`, column)}, excluded.${name})`;
    case 'order':
    case 'carried': {
      const tuple = (row: string) => `(${columns.map((each) => `${row}.${each}`).join(', ')})`;
      const comesFirst = `${tuple('excluded')} ${keep === 'first' ? '<' : '>'} ${tuple('t')}`;
      const wins = `excluded.${columns[0]} IS NOT NULL AND (t.${columns[0]} IS NULL OR ${comesFirst})`;
      return `CASE WHEN ${wins} THEN excluded.${name} ELSE t.${name} END`;
    }
  }
}

/** Texts compare by their bytes, as in JavaScript, whatever the database's locale. */
const comparable = (value: string, { type }: Column): string => (type === 'text' ? `${value} COLLATE "C"` : value);
