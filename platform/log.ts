import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type Log = Logger;

export interface LogOptions {
  readonly name: string;
  readonly level: string;
  /** For a person at a terminal; otherwise one JSON object per line. */
  readonly pretty: boolean;
  /** Default: standard output. */
  readonly to?: 'stdout' | 'stderr';
}

/** Ids and counts only: never a request's content, a key or free text about a person. */
export function createLog({ name, level, pretty: isPretty, to = 'stdout' }: LogOptions): Log {
  const options = { name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime };
  const destination = to === 'stdout' ? 1 : 2;
  if (!isPretty) return pino(options, pino.destination({ dest: destination, sync: true }));
  return pino(
    options,
    pretty({
      destination,
      colorize: true,
      ignore: 'name',
      translateTime: 'SYS:HH:MM:ss',
      messageFormat: `${name}: {msg}`,
    }),
  );
}
