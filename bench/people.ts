import type { Database } from '../platform/database.ts';

/** How many people there are. Fewer than 10,000. */
export const people = 2_000;

/** Always as long, so that it can be written into bytes that are there. */
export function personId(index: number): string {
  return `person-${String(index).padStart(4, '0')}`;
}

export interface History {
  /** Days behind each person, today included. */
  readonly days: number;
  /** Events that are already stored: the read of a person also asks whether a decision is among these. */
  readonly events: number;
}

const usual: History = { days: 31, events: 100_000 };

/**
 * Stores what the consumers would have stored of all people's last days, in random order, so that the rows of one
 * person lie on as many pages as they do in life. What is there already stays.
 */
export async function storePeople(database: Database, { days, events }: History = usual): Promise<void> {
  const person = `'person-' || lpad(p::text, 4, '0')`;
  await database.query(`
    INSERT INTO user_daily (user_id, day, served, done, dismissed, snoozed, dwell_ms, dwell_count, last_served_at, last_reaction_at)
    SELECT ${person}, current_date - d, 3 + (p + d) % 4, 1 + (p + d) % 2, p % 2, d % 2, 45000 + 1000 * (p % 60), 1 + (p + d) % 2,
      current_date - d + interval '13 hours', current_date - d + interval '13 hours 5 minutes'
    FROM generate_series(0, ${people - 1}) AS p, generate_series(0, ${days - 1}) AS d ORDER BY random() ON CONFLICT DO NOTHING`);
  await database.query(`
    INSERT INTO user_hourly (user_id, day, hour, done, last_done_at)
    SELECT ${person}, current_date - d, 7 + (p + d * h) % 14, 1, current_date - d + interval '13 hours'
    FROM generate_series(0, ${people - 1}) AS p, generate_series(0, ${days - 1}) AS d, generate_series(1, 2) AS h
    ORDER BY random() ON CONFLICT DO NOTHING`);
  await storeEvents(database, events);
  // Now rather than by the background in the middle of a round.
  await database.query('VACUUM (ANALYZE) user_daily, user_hourly, events, event_ids, tip_scores');
  await database.query('CHECKPOINT');
}

/** Events up to a number, in the order of their keys, which is how millions of them go in within a minute. */
async function storeEvents(database: Database, events: number): Promise<void> {
  const { rows } = await database.query<{ stored: number }>('SELECT count(*)::int AS stored FROM event_ids');
  const [{ stored } = { stored: 0 }] = rows;
  await database.query(
    `WITH numbered AS (
      SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(e), 12, '0'))::uuid AS event_id, e FROM generate_series($1::int, $2::int) AS e
    ), ids AS (INSERT INTO event_ids SELECT event_id FROM numbered)
    INSERT INTO events (event_id, type, user_id, occurred_at, schema_version, producer, envelope)
    SELECT event_id, 'oo.events.v1.TipServed', 'person-' || lpad((e % ${people})::text, 4, '0'),
      now() - e * interval '1 second', 'v1', 'bench@1', decode(repeat(md5(e::text), 10), 'hex')
    FROM numbered ORDER BY e % ${people}, e`,
    [stored + 1, events],
  );
}
