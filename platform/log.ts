import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type Log = Logger;

export interface LogOptions {
  readonly name: string;
  readonly level: string;
  /** For a person at a terminal; otherwise one JSON object per line. */
  readonly pretty: boolean;
}

/** Logs go to standard output. Ids and counts only: never a request's content, a key or free text about a person. */
export function createLog({ name, level, pretty: isPretty }: LogOptions): Log {
  const options = { name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime };
  if (!isPretty) return pino(options);
  return pino(
    options,
    pretty({ colorize: true, ignore: 'name', translateTime: 'SYS:HH:MM:ss', messageFormat: `${name}: {msg}` }),
  );
}
