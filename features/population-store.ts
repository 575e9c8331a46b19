import type { Database } from '../platform/database.ts';
import type { Population, TipCounts } from './population.ts';

/** Days that a measurement looks back, the current UTC day included: those of the features it stands in for. */
const days = 30;

/** Adds up what all people did with their tips and keeps it, beside the measurements before. */
export async function measurePopulation(database: Pick<Database, 'query'>, nowMs: number): Promise<void> {
  await database.query(
    `WITH now AS (SELECT to_timestamp($1 / 1000.0) AS at), tips AS (
      SELECT tip_kind, tip_source, outcome FROM tip_outcomes, now
      WHERE coalesce(served_at, outcome_at)::date BETWEEN now.at::date - ${days - 1} AND now.at::date
    )
    INSERT INTO population (measured_at, dimension, value, served, done, dismissed, snoozed)
    SELECT now.at, 'all', '', coalesce(sum(greatest(served, done + dismissed + snoozed)), 0),
      coalesce(sum(done), 0), coalesce(sum(dismissed), 0), coalesce(sum(snoozed), 0)
    FROM now LEFT JOIN LATERAL (
      SELECT sum(served) AS served, sum(done) AS done, sum(dismissed) AS dismissed, sum(snoozed) AS snoozed
      FROM user_daily WHERE day > now.at::date - ${days} AND day <= now.at::date GROUP BY user_id
    ) AS people ON true GROUP BY now.at
    UNION ALL
    SELECT now.at, 'kind', tip_kind, ${tipCounts} FROM tips, now WHERE tip_kind IS NOT NULL GROUP BY now.at, tip_kind
    UNION ALL
    SELECT now.at, 'source', tip_source, ${tipCounts} FROM tips, now WHERE tip_source IS NOT NULL GROUP BY now.at, tip_source
    ON CONFLICT DO NOTHING`,
    [nowMs],
  );
}

const tipCounts = `count(*), count(*) FILTER (WHERE outcome = 'done'), count(*) FILTER (WHERE outcome = 'dismiss'),
      count(*) FILTER (WHERE outcome = 'snooze')`;

/** Which measurements count. Default: all. */
export interface Seen {
  /** Only those that a snapshot had seen: what was believed then. */
  readonly visibleIn?: string;
  /** Only those of this instant or earlier. */
  readonly notAfterMs?: number;
}

/** The newest measurement. Undefined: there is none. */
export async function readPopulation(
  database: Pick<Database, 'query'>,
  { visibleIn, notAfterMs }: Seen = {},
): Promise<Population | undefined> {
  const { rows } = await database.query<Row>({
    name: 'read-population',
    text: `
      SELECT (extract(epoch FROM measured_at) * 1000)::float8 AS "measuredAtMs", dimension, value,
        served::float8, done::float8, dismissed::float8, snoozed::float8
      FROM population WHERE measured_at = (
        SELECT max(measured_at) FROM population
        WHERE ($1::text IS NULL OR pg_visible_in_snapshot(transaction_id, $1::pg_snapshot))
          AND ($2::float8 IS NULL OR measured_at <= to_timestamp($2 / 1000.0)))`,
    values: [visibleIn ?? null, notAfterMs ?? null],
  });
  const [first] = rows;
  if (!first) return undefined;
  const counts = (dimension: string) =>
    Object.fromEntries(
      rows
        .filter((row) => row.dimension === dimension)
        .map(({ value, served, done, dismissed, snoozed }) => [value, { served, done, dismissed, snoozed }]),
    );
  const all = counts('all')[''] ?? { served: 0, done: 0, dismissed: 0, snoozed: 0 };
  return { measuredAtMs: first.measuredAtMs, all, byKind: counts('kind'), bySource: counts('source') };
}

interface Row extends TipCounts {
  readonly measuredAtMs: number;
  readonly dimension: string;
  readonly value: string;
}
