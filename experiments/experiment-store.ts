import { erasedAmong } from '../features/erasure-store.ts';
import type { Database } from '../platform/database.ts';
import { type Experiment, readExperiment } from './experiment.ts';

/** A set of experiments as it was put in force. */
export interface StoredSet {
  /** Counted from 1. */
  readonly id: number;
  /** 0: it was the first. */
  readonly previousId: number;
  readonly version: string;
  /** As they were put. */
  readonly definitions: unknown;
  readonly actor: string;
  /** Name of the key that was used. */
  readonly caller: string;
  readonly reason: string;
  readonly atMs: number;
}

/** Errors are those of the database. */
export interface ExperimentStore {
  /**
   * Puts a set in force. Undefined, and nothing is done, unless the newest is `previousId`, or if somebody whom it forces
   * into an arm was erased.
   */
  append(set: Omit<StoredSet, 'id' | 'atMs'>): Promise<StoredSet | undefined>;
  /** The newest set, unless that is the one with this id. */
  readNewest(knownId: number): Promise<StoredSet | undefined>;
  /** A page of the sets before `id`, newest first: at most `limit`, and no more than a response may hold. */
  list(page: {
    readonly limit: number;
    readonly before: number | undefined;
  }): Promise<{ readonly sets: readonly StoredSet[]; readonly isLast: boolean }>;
  /** The newest definition of an experiment, of any version unless one is given. Undefined: there is none. */
  readDefinition(key: string, version: string | undefined): Promise<Experiment | undefined>;
  /** Every definition that was ever running. Those of a form that this build does not read are left out. */
  readRun(): Promise<readonly Experiment[]>;
}

export function createExperimentStore(database: Pick<Database, 'query'>): ExperimentStore {
  return {
    async append({ previousId, version, definitions, actor, caller, reason }) {
      const { rows } = await database.query<StoredSet>(appendSet, [
        ...[previousId, version, JSON.stringify(definitions), actor, caller, reason],
      ]);
      return rows[0];
    },

    async readNewest(knownId) {
      const asked = { name: 'newest-experiments', text: newestSet, values: [knownId] };
      const { rows } = await database.query<StoredSet>(asked);
      return rows[0];
    },

    async list({ limit, before }) {
      const { rows } = await database.query<StoredSet & { number: string; bytes: string; found: number }>(listSets, [
        before,
        limit,
      ]);
      const sets = rows.map(({ number: _, bytes: __, found: ___, ...set }) => set);
      return { sets, isLast: rows.length === (rows[0]?.found ?? 0) };
    },

    async readDefinition(key, version) {
      const { rows } = await database.query<{ each: unknown }>(
        `SELECT each FROM experiment_sets, jsonb_array_elements(definitions->'experiments') AS each
        WHERE each->>'key' = $1 AND ($2::text IS NULL OR each->>'version' = $2) ORDER BY id DESC LIMIT 1`,
        [key, version],
      );
      return readExperiment(rows[0]?.each);
    },

    async readRun() {
      const { rows } = await database.query<{ each: unknown }>(
        "SELECT DISTINCT each FROM experiment_sets, jsonb_array_elements(definitions->'experiments') AS each WHERE each->>'status' = 'running'",
      );
      return rows.flatMap(({ each }) => readExperiment(each) ?? []);
    },
  };
}

const setColumns = `id::float8, previous_id::float8 AS "previousId", version, definitions, actor, caller, reason,
  (extract(epoch FROM created_at) * 1000)::float8 AS "atMs"`;

/** Of two that replace the same set, the second waits for the first, and finds its number taken. */
const appendSet = `
  WITH erased AS (
    ${erasedAmong("ARRAY(SELECT jsonb_object_keys(each->'forced') FROM jsonb_array_elements($3::jsonb->'experiments') AS e(each))")}
  )
  INSERT INTO experiment_sets (id, previous_id, version, definitions, actor, caller, reason)
  SELECT $1::int8 + 1, $1::int8, $2, $3::jsonb, $4, $5, $6
  WHERE $1::int8 = coalesce((SELECT max(id) FROM experiment_sets), 0) AND NOT EXISTS (SELECT FROM erased)
  ON CONFLICT (id) DO NOTHING
  RETURNING ${setColumns}`;

const newestSet = `
  SELECT ${setColumns} FROM (SELECT * FROM experiment_sets ORDER BY id DESC LIMIT 1) AS newest WHERE id <> $1::int8`;

/** A response holds this beside the current set, and less than a set may have does not end a page. */
const pageMaxBytes = 1024 * 1024;

/** One more than asked for tells whether there are more. */
const listSets = `
  SELECT * FROM (
    SELECT ${setColumns}, count(*) OVER ()::int AS found, row_number() OVER newest AS number,
      sum(octet_length(definitions::text)) OVER newest AS bytes
    FROM (
      SELECT * FROM experiment_sets WHERE $1::int8 IS NULL OR id < $1 ORDER BY id DESC LIMIT $2::int + 1
    ) AS page
    WINDOW newest AS (ORDER BY page.id DESC)
  ) AS counted
  WHERE number <= $2 AND (bytes <= ${pageMaxBytes} OR number = 1)
  ORDER BY number`;
