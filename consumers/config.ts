import { z } from 'zod';
import { logLevel, readConfig, required, url } from '../platform/config.ts';

const schema = z.object({
  DATABASE_URL: required('the Postgres to write to').pipe(url('postgres', 'postgresql')),
  NATS_URL: required('the NATS server to read from').pipe(url('nats', 'tls')),
  LOG_LEVEL: logLevel.default('info'),
});

export interface ConsumersConfig {
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly logLevel: string;
}

/** Throws a ConfigError that names every bad variable. */
export function readConsumersConfig(env: NodeJS.ProcessEnv): ConsumersConfig {
  const { DATABASE_URL, NATS_URL, LOG_LEVEL } = readConfig(schema, env);
  return { databaseUrl: DATABASE_URL, natsUrl: NATS_URL, logLevel: LOG_LEVEL };
}
