import pg from 'pg';

export interface DatabaseOptions {
  readonly url: string;
  readonly applicationName: string;
  /** At most this many connections. */
  readonly maxConnections: number;
}

export type Database = pg.Pool;

/**
 * A pool of connections that all speak UTC: in another zone, timestamps would be written and read wrongly by the offset
 * without any error. A broken idle connection is dropped by the pool and must not end the process.
 */
export function openDatabase({ url, applicationName, maxConnections }: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: applicationName,
    max: maxConnections,
    options: '-c TimeZone=UTC',
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  });
  pool.on('error', () => {});
  return pool;
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
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

function isConnectionFailure(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isConnectionFailure);
  if (!(error instanceof Error)) return false;
  if ('code' in error && typeof error.code === 'string' && socketErrors.has(error.code)) return true;
  return /connection terminated|timeout exceeded when trying to connect|client has encountered a connection error|query read timeout/i.test(
    error.message,
  );
}
