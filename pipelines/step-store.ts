import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../platform/database.ts';
import { alreadyExists, invalidArgument } from '../platform/errors.ts';
import type { Json } from './dag.ts';

/** A run of a DAG, as it was first asked for. */
export interface Run {
  readonly dag: string;
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly asOf: string;
}

export type StepStatus = 'running' | 'done' | 'skipped' | 'failed';

export interface StoredStep {
  readonly name: string;
  readonly status: StepStatus;
  readonly attempt: number;
  readonly inputHash: string;
  /** Of a step that is done. */
  readonly output: Json;
  /** Why it was skipped, or has failed. */
  readonly reason: string | undefined;
  readonly startedAt: Date;
  readonly finishedAt: Date | undefined;
}

/** What became of a step: what every runner answers, whether the step ran now or before. */
export type Outcome =
  | { readonly status: 'done'; readonly output: Json }
  | { readonly status: 'skipped'; readonly reason: string };

/** How an attempt ended. */
export type Ending = Outcome | { readonly status: 'failed'; readonly reason: string };

export interface RunStanding extends Run {
  readonly createdAt: Date;
  /** By name. A step that is `interrupted` runs by the table, and nobody does it. */
  readonly steps: readonly (Omit<StoredStep, 'status'> & { readonly status: StepStatus | 'interrupted' })[];
}

const runIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.~:+-]{0,249}$/;
const instantPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;
/** How far the clocks of two machines may be apart. */
const clockSkew = '1 minute';

/**
 * The run of an id, which is begun if there is none. Throws an INVALID_ARGUMENT on a bad id or instant, or one to come; an
 * ALREADY_EXISTS if the run is about another instant. `asOf` undefined: that of the run, and for a new run now.
 */
export async function openRun(database: Database, dag: string, id: string, asOf: string | undefined): Promise<Run> {
  const asOfMs = asOf === undefined ? undefined : Date.parse(asOf);
  if (!runIdPattern.test(id))
    throw bad('run-id', 'is up to 250 letters, digits and _.~:+- and begins with a letter or digit');
  if (asOf !== undefined && (!instantPattern.test(asOf) || Number.isNaN(asOfMs))) {
    throw bad('as-of', 'is an instant with its zone, such as 2026-11-23T00:00:00Z');
  }
  const given = asOfMs === undefined ? null : new Date(asOfMs).toISOString();
  const { rows } = await database.query<{ as_of: Date | null }>(
    `WITH begun AS (
      INSERT INTO pipeline_runs (dag, run_id, as_of)
      SELECT $1, $2, coalesce($3::timestamptz, now()) WHERE coalesce($3::timestamptz <= now() + interval '${clockSkew}', true)
      ON CONFLICT DO NOTHING RETURNING as_of
    ) SELECT as_of FROM begun UNION ALL SELECT as_of FROM pipeline_runs WHERE dag = $1 AND run_id = $2`,
    [dag, id, given],
  );
  const stored = rows[0]?.as_of?.toISOString();
  if (stored === undefined) {
    // Another process begins it at this very moment, so that neither part of the statement saw it; or it is to come.
    if (given === null || Date.parse(given) <= (await nowOf(database))) return openRun(database, dag, id, asOf);
    throw bad('as-of', 'lies in the future');
  }
  if (given !== null && given !== stored) {
    const message = `the run ${id} of ${dag} is as of ${stored}: give that, or another run id`;
    throw alreadyExists('RUN_AS_OF_ANOTHER_INSTANT', message);
  }
  return { dag, id, asOf: stored };
}

const bad = (field: string, description: string) => invalidArgument([{ field, description }]);

async function nowOf(database: Database): Promise<number> {
  const { rows } = await database.query<{ now: Date }>(`SELECT now() + interval '${clockSkew}' AS now`);
  return rows[0]?.now.getTime() ?? 0;
}

export interface StepLock extends AsyncDisposable {
  /** Aborts when the lock is lost, because its connection is. Somebody else may do the step from then on. */
  readonly lost: AbortSignal;
}

const lockTryMs = { first: 50, max: 1_000 };

/**
 * Waits until nobody else does the step, in this process or in any. The lock belongs to a connection: it ends with the
 * process, however that ends, and within a minute with its machine. It holds up neither vacuum nor a transaction.
 */
export async function lockStep(database: Database, run: Run, step: string, signal: AbortSignal): Promise<StepLock> {
  for (let waitMs = lockTryMs.first; ; waitMs = Math.min(2 * waitMs, lockTryMs.max)) {
    signal.throwIfAborted();
    const lock = await tryLock(database, run, step);
    if (lock) return lock;
    await sleep(waitMs, undefined, { signal });
  }
}

async function tryLock(database: Database, { dag, id }: Run, step: string): Promise<StepLock | undefined> {
  const client = await database.connect();
  const lost = new AbortController();
  const lose = () => lost.abort(new Error('the connection that held the lock of the step broke'));
  client.on('error', lose);
  client.on('end', lose);
  const release = () => {
    client.off('error', lose);
    client.off('end', lose);
    client.release(true); // with its connection goes the lock, and what was set
  };
  try {
    const { rows } = await client.query<{ locked: boolean }>(
      `SELECT pg_try_advisory_lock(${lockKey('$1', '$2', '$3')}) AS locked,
        set_config('tcp_keepalives_idle', '20', false), set_config('tcp_keepalives_interval', '10', false),
        set_config('tcp_keepalives_count', '3', false)`,
      [dag, id, step],
    );
    if (!rows[0]?.locked) {
      release();
      return undefined;
    }
  } catch (error) {
    release();
    throw error;
  }
  return { lost: lost.signal, [Symbol.asyncDispose]: async () => release() };
}

/** SQL: the number of a step's advisory lock. */
const lockKey = (dag: string, run: string, step: string): string =>
  `hashtextextended(jsonb_build_array('oo.pipeline_steps', ${dag}::text, ${run}::text, ${step}::text)::text, 0)`;

/** The steps of a run that were ever begun. */
export async function readSteps(database: Database, { dag, id }: Run): Promise<ReadonlyMap<string, StoredStep>> {
  const { rows } = await database.query<StepRow>(
    'SELECT * FROM pipeline_steps WHERE dag = $1 AND run_id = $2 ORDER BY step',
    [dag, id],
  );
  return new Map(rows.map((row) => [row.step, toStored(row)]));
}

/** How a step ended, if it has succeeded. */
export function outcomeOf(stored: StoredStep | undefined): Outcome | undefined {
  if (stored?.status === 'done') return { status: 'done', output: stored.output };
  return stored?.status === 'skipped' ? { status: 'skipped', reason: stored.reason ?? '' } : undefined;
}

/** Begins an attempt at a step and returns its number. Only for whoever holds the step's lock. */
export async function beginStep(
  database: Database,
  { dag, id }: Run,
  step: string,
  inputHash: string,
): Promise<number> {
  const { rows } = await database.query<{ attempt: number }>(
    `INSERT INTO pipeline_steps AS s (dag, run_id, step, status, attempt, input_hash, started_at)
    VALUES ($1, $2, $3, 'running', 1, $4, now())
    ON CONFLICT (dag, run_id, step) DO UPDATE SET status = 'running', attempt = s.attempt + 1,
      input_hash = excluded.input_hash, output = NULL, reason = NULL, started_at = now(), finished_at = NULL
    RETURNING attempt`,
    [dag, id, step, inputHash],
  );
  return rows[0]?.attempt ?? 0;
}

/** Says how an attempt ended. Throws if another attempt was begun since: its word counts. */
export async function endStep(
  database: Database,
  run: Run,
  step: string,
  attempt: number,
  ending: Ending,
): Promise<void> {
  const { rowCount } = await database.query(
    `UPDATE pipeline_steps SET status = $5, output = $6, reason = $7, finished_at = now()
    WHERE dag = $1 AND run_id = $2 AND step = $3 AND attempt = $4 AND status = 'running'`,
    [
      ...[run.dag, run.id, step, attempt, ending.status],
      ending.status === 'done' ? JSON.stringify(ending.output) : null,
      ending.status === 'done' ? null : ending.reason,
    ],
  );
  if (rowCount !== 1) throw new Error(`attempt ${attempt} at ${step} was overtaken by another one`);
}

/** The newest runs and how they stand, the newest first. `dag` undefined: of all DAGs. */
export async function readRuns(
  database: Database,
  dag: string | undefined,
  limit: number,
): Promise<readonly RunStanding[]> {
  const { rows } = await database.query<RunRow>(
    `WITH held AS MATERIALIZED (
      SELECT (classid::int8 << 32) | objid::int8 AS key FROM pg_locks
      WHERE locktype = 'advisory' AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
    SELECT r.*, coalesce(s.steps, '[]') AS steps
    FROM (
      SELECT * FROM pipeline_runs WHERE $1::text IS NULL OR dag = $1 ORDER BY created_at DESC, dag, run_id LIMIT $2
    ) AS r, LATERAL (
      SELECT jsonb_agg(to_jsonb(s) || jsonb_build_object('locked', ${lockKey('dag', 'run_id', 'step')} IN (SELECT key FROM held))
        ORDER BY started_at, step) AS steps
      FROM pipeline_steps AS s WHERE s.dag = r.dag AND s.run_id = r.run_id
    ) AS s ORDER BY r.created_at DESC, r.dag, r.run_id`,
    [dag, limit],
  );
  return rows.map((row) => ({
    dag: row.dag,
    id: row.run_id,
    asOf: row.as_of.toISOString(),
    createdAt: row.created_at,
    steps: row.steps.map((step) => ({
      ...toStored(step),
      ...(step.status === 'running' && !step.locked && { status: 'interrupted' as const }),
    })),
  }));
}

interface StepRow {
  readonly step: string;
  readonly status: StepStatus;
  readonly attempt: number;
  readonly input_hash: string;
  readonly output: Json;
  readonly reason: string | null;
  readonly started_at: Date | string;
  readonly finished_at: Date | string | null;
}

interface RunRow {
  readonly dag: string;
  readonly run_id: string;
  readonly as_of: Date;
  readonly created_at: Date;
  readonly steps: readonly (StepRow & { readonly locked: boolean })[];
}

const toStored = (row: StepRow): StoredStep => ({
  name: row.step,
  status: row.status,
  attempt: row.attempt,
  inputHash: row.input_hash,
  output: row.output,
  reason: row.reason ?? undefined,
  startedAt: new Date(row.started_at),
  finishedAt: row.finished_at === null ? undefined : new Date(row.finished_at),
});
