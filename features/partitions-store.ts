// The monthly partitions of `events`: `events_YYYY_MM` holds what was stored in that month, UTC, by the database's clock.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../platform/database.ts';

type Client = Pick<Database, 'query'>;

export interface DroppedMonth {
  /** The name its partition had. */
  readonly name: string;
  readonly events: number;
}

export interface Retention {
  /** Whole months to keep beside the current one. At least 1. */
  readonly keepMonths: number;
  readonly nowMs: number;
}

/** A month, counted from January of the year 0. */
type Month = number;

const monthsAhead = 2;

/**
 * Makes the partitions that are missing for the current month, the next two, and every month whose events lie in the
 * default partition; those events move. Returns the names of the new ones. Any number of processes may call this at any
 * time. Where one is missing, writers of events wait while it is made: for milliseconds, unless events have to move.
 */
export async function ensurePartitions(database: Database, nowMs: number): Promise<readonly string[]> {
  const current = monthOf(nowMs);
  const ahead = Array.from({ length: monthsAhead + 1 }, (_, i) => current + i);
  if ((await missing(database, ahead)).length === 0) return [];
  return exclusively(database, async (client) => {
    // From here on no event is on its way into the default partition.
    await client.query('LOCK TABLE ONLY events IN SHARE ROW EXCLUSIVE MODE');
    const months = await missing(client, ahead);
    for (const month of months) await addPartition(client, month);
    return months.map(nameOf);
  });
}

/** Attached rather than made in place: that locks readers out of the empty default partition only. */
async function addPartition(client: Client, month: Month): Promise<void> {
  const name = nameOf(month);
  const [from, to] = [firstDay(month), firstDay(month + 1)];
  await client.query(`CREATE TABLE ${name} (LIKE events INCLUDING ALL)`);
  await client.query(`
    WITH moved AS (DELETE FROM events_default WHERE stored_on >= '${from}' AND stored_on < '${to}' RETURNING *)
    INSERT INTO ${name} SELECT * FROM moved`);
  await client.query(`ALTER TABLE events ATTACH PARTITION ${name} FOR VALUES FROM ('${from}') TO ('${to}')`);
}

async function missing(client: Client, wanted: readonly Month[]): Promise<readonly Month[]> {
  const { rows } = await client.query<{ month: Month }>(
    `SELECT DISTINCT ${monthOfColumn('stored_on')} AS month FROM events_default`,
  );
  const there = new Set(await months(client));
  return [...new Set([...wanted, ...rows.map(({ month }) => month)])].filter((month) => !there.has(month));
}

/** The months that have a partition, the oldest first. */
async function months(client: Client): Promise<readonly Month[]> {
  const { rows } = await client.query<{ name: string }>(`
    SELECT relname AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'events'::regclass`);
  return rows
    .flatMap(({ name }) => {
      const [, year, month] = /^events_(\d{4})_(\d{2})$/.exec(name) ?? [];
      return year === undefined ? [] : [Number(year) * 12 + Number(month) - 1];
    })
    .sort((a, b) => a - b);
}

/**
 * Drops the events of every month that ended more than `keepMonths` whole months ago, each in a transaction of its own,
 * the oldest first, and says in `dropped_partitions` that it did. Their ids stay, so none of them counts again.
 *
 * Events about days after the end of their month (their producer's clock ran ahead) are not dropped with it but move to
 * the next month. So events about a day from `readWholeFromDay` on are all there, whatever any clock said.
 */
export async function dropPartitions(
  database: Database,
  { keepMonths, nowMs }: Retention,
): Promise<readonly DroppedMonth[]> {
  if (!Number.isInteger(keepMonths) || keepMonths < 1) throw new RangeError('keepMonths must be a whole number from 1');
  const firstKept = monthOf(nowMs) - keepMonths;
  const dropped: DroppedMonth[] = [];
  for (const month of await months(database)) {
    if (month >= firstKept) break;
    const one = await exclusively(database, (client) => dropMonth(client, month));
    if (one) dropped.push(one);
  }
  return dropped;
}

/** Undefined: another process has just dropped it. */
async function dropMonth(client: Client, month: Month): Promise<DroppedMonth | undefined> {
  if (!(await months(client)).includes(month)) return undefined;
  const name = nameOf(month);
  const [from, to] = [firstDay(month), firstDay(month + 1)];
  await client.query(`
    UPDATE events SET stored_on = '${to}'
    WHERE stored_on >= '${from}' AND stored_on < '${to}' AND occurred_at >= '${to} 00:00:00+00'`);
  const { rows } = await client.query<{ events: number }>(
    `INSERT INTO dropped_partitions (name, from_day, to_day, events)
    SELECT '${name}', '${from}', '${to}', count(*) FROM ${name}
    ON CONFLICT (name) DO UPDATE SET events = dropped_partitions.events + excluded.events, dropped_at = now()
    RETURNING events::float8`,
  );
  await client.query(`ALTER TABLE events DETACH PARTITION ${name}`);
  await client.query(`DROP TABLE ${name}`);
  return { name, events: rows[0]?.events ?? 0 };
}

/**
 * The first UTC day whose events are all there, counted from 1970-01-01. Undefined: no event was ever dropped. To rely
 * on it, lock `events` before the snapshot in which it is read.
 */
export async function readWholeFromDay(client: Client): Promise<number | undefined> {
  const { rows } = await client.query<{ day: number | null }>(
    "SELECT max(to_day) - date '1970-01-01' AS day FROM dropped_partitions",
  );
  return rows[0]?.day ?? undefined;
}

/** Any number, as long as nothing else in this database uses it. */
const advisoryLock = 7_402_001;
/** Whoever waits for a lock holds up those who come later: rather give up, and try again in a moment. */
const lockWaitMs = 500;
const tries = 20;
const pauseMs = 250;

/** One transaction at a time over all processes. Gives up, with the database's error, if it cannot get its locks. */
async function exclusively<Result>(database: Database, work: (client: Client) => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    const client = await database.connect();
    try {
      await client.query(
        `BEGIN; SELECT pg_advisory_xact_lock(${advisoryLock}); SET LOCAL lock_timeout = ${lockWaitMs}`,
      );
      const result = await work(client);
      await client.query('COMMIT');
      client.release();
      return result;
    } catch (error) {
      client.release(true); // whatever state it is in: a closed connection is rolled back
      const isBusy = error instanceof Error && 'code' in error && ['55P03', '40P01'].includes(String(error.code));
      if (!isBusy || attempt === tries) throw error;
    }
    await sleep(pauseMs);
  }
}

function monthOf(instantMs: number): Month {
  const date = new Date(instantMs);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

const monthOfColumn = (column: string): string =>
  `(extract(year FROM ${column}) * 12 + extract(month FROM ${column}) - 1)::int`;

const nameOf = (month: Month): string => `events_${year(month)}_${twoDigits((month % 12) + 1)}`;

const firstDay = (month: Month): string => `${year(month)}-${twoDigits((month % 12) + 1)}-01`;

const year = (month: Month): string => String(Math.floor(month / 12)).padStart(4, '0');

const twoDigits = (value: number): string => String(value).padStart(2, '0');
