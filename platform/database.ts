import pg from 'pg';

export interface DatabaseOptions {
  readonly url: string;
  readonly applicationName: string;
  /** At most this many connections. */
  readonly maxConnections: number;
  /**
   * Milliseconds a statement may take. One that takes longer, or whose answer never comes because the network lost the
   * connection, fails as an outage. Undefined: as long as it takes, which over a lost connection is for ever.
   */
  readonly statementTimeoutMs?: number;
  /** Breaks off, as outages, all statements under way and to come. For work that may end anywhere and begin anew. */
  readonly signal?: AbortSignal;
  /**
   * For a few named statements that each read rows by their keys, thousands of times a second: a connection plans each
   * once and keeps the plan. Planning one anew, as Postgres else does wherever it knows better what it is asked for, takes
   * longer than running it. A kept plan may be from when its tables were empty, so none may go through whole tables.
   */
  readonly plansOnce?: boolean;
}

export type Database = pg.Pool;

/** How much later than the server this side gives up: then the server is slow, not lost, and has let go of its locks. */
const answerGraceMs = 2_000;
/** TCP asks after a connection that is silent for this long. Where nobody is there any more, its statement soon fails. */
const silenceMs = 10_000;
/** A transaction that waits this long for its next statement belongs to a process that is gone; its locks are freed. */
const idleInTransactionMs = 60_000;
/** The server asks too, and ends the sessions of whoever is gone, which else take up places for hours: within a minute. */
const serverAsks = ' -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3';
const planOnce = ' -c plan_cache_mode=force_generic_plan -c enable_seqscan=off';

/**
 * A pool of connections that all speak UTC: in another zone, timestamps would be written and read wrongly by the offset
 * without any error. Statements see what was committed before they began, whatever the server's default: an erasure
 * counts on it. A broken idle connection is dropped by the pool and must not end the process; so is one on which a
 * statement failed in any way.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const { url, applicationName, maxConnections, statementTimeoutMs, signal, plansOnce = false } = options;
  const pool = new pg.Pool({
    connectionString: url,
    application_name: applicationName,
    max: maxConnections,
    options: `-c TimeZone=UTC -c default_transaction_isolation=read\\ committed${serverAsks}${plansOnce ? planOnce : ''}`,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: silenceMs,
    idle_in_transaction_session_timeout: idleInTransactionMs,
    ...(statementTimeoutMs === undefined
      ? {}
      : { statement_timeout: statementTimeoutMs, query_timeout: statementTimeoutMs + answerGraceMs }),
  });
  const ignore = () => {}; // a statement that it breaks fails by itself
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', ignore));
  if (signal) breakOff(pool, signal);
  return pool;
}

/** Ending a client breaks off its statement; the pool then drops it. */
function breakOff(pool: Database, signal: AbortSignal): void {
  const clients = new Set<pg.PoolClient>();
  const end = (client: pg.PoolClient) => void (client as pg.PoolClient & pg.Client).end().catch(() => {});
  pool.on('remove', (client) => clients.delete(client));
  pool.on('connect', (client) => {
    clients.add(client);
    if (signal.aborted) end(client);
  });
  signal.addEventListener('abort', () => clients.forEach(end), { once: true });
}

/**
 * Does work in one transaction, each statement of which sees what was committed before it began: all of it counts, or
 * nothing. Errors are those of the work and of the database.
 */
export function inTransaction<Result>(
  database: Database,
  work: (client: Pick<Database, 'query'>) => Promise<Result>,
): Promise<Result> {
  return inIsolation(database, 'READ COMMITTED', work);
}

/** Reads in one transaction, all statements of which see the same instant. Errors are those of the work and the database. */
export function atOneInstant<Result>(
  database: Database,
  read: (client: Pick<Database, 'query'>) => Promise<Result>,
): Promise<Result> {
  return inIsolation(database, 'REPEATABLE READ READ ONLY', read);
}

async function inIsolation<Result>(
  database: Database,
  isolation: string,
  work: (client: Pick<Database, 'query'>) => Promise<Result>,
): Promise<Result> {
  const client = await database.connect();
  try {
    await client.query(`BEGIN ISOLATION LEVEL ${isolation}`);
    const result = await work(client);
    await client.query('COMMIT');
    client.release();
    return result;
  } catch (error) {
    client.release(true); // whatever state it is in: a closed connection is rolled back
    throw error;
  }
}

/** What to do about a failed statement. */
export type Failure = 'row_refused' | 'outage' | 'fatal';

/**
 * Reads an error of `pg`. `row_refused`: the data can never be stored (SQLSTATE 22, 23, 54000). `outage`: it passes by
 * itself (no connection, shutdown, no resources, deadlock, serialisation, read-only). `fatal`: anything else, above all
 * a missing table or right: the code and the database do not fit.
 */
export function classifyFailure(error: unknown): Failure {
  const code = sqlState(error);
  if (code === undefined) return isConnectionFailure(error) ? 'outage' : 'fatal';
  if (code.startsWith('22') || code.startsWith('23') || code === '54000') return 'row_refused';
  if (/^(08|57P0|53)/.test(code) || ['57014', '40001', '40P01', '55P03', '25006'].includes(code)) return 'outage';
  return 'fatal';
}

function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return /^[0-9A-Z]{5}$/.test(error.code) && 'severity' in error ? error.code : undefined;
}

const socketErrors = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
]);

function isConnectionFailure(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isConnectionFailure);
  if (!(error instanceof Error)) return false;
  if ('code' in error && typeof error.code === 'string' && socketErrors.has(error.code)) return true;
  return /connection terminated|timeout exceeded when trying to connect|timeout expired|is not queryable|query read timeout/i.test(
    error.message,
  );
}
