import { classifyFailure } from '../platform/database.ts';
import { StartupError } from '../platform/run-main.ts';

/** What went wrong, for whoever typed a command. Only what nobody foresaw comes with its stack. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof StartupError) return error.message;
  const [first] = error instanceof AggregateError ? error.errors : []; // one for each address of a host
  const message = first instanceof Error ? first.message : error.message;
  if (classifyFailure(error) === 'outage') return `Postgres does not answer: ${message}`;
  const code = 'code' in error ? String(error.code) : '';
  if (code === '42P01' || code === '42703') return `${message}: is DATABASE_URL right, and every migration applied?`;
  const isOfTheirs = /^(28...|3D000|42501)$/.test(code) || 'syscall' in error; // password, database, rights; files
  return isOfTheirs ? message : String(error.stack);
}

/** For the promise of a command: says what went wrong, and ends the process with 1. */
export function fail(error: unknown): void {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}
