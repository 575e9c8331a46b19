import { z } from 'zod';
import { integer, logLevel, readConfig, required, url } from '../platform/config.ts';

const schema = z.object({
  DATABASE_URL: required('the Postgres to write to').pipe(url('postgres', 'postgresql')),
  NATS_URL: required('the NATS server to read from').pipe(url('nats', 'tls')),
  ACK_WAIT_MS: integer(1_000, 3_600_000).default(30_000),
  LOG_LEVEL: logLevel.default('info'),
});

export interface ConsumersConfig {
  readonly databaseUrl: string;
  readonly natsUrl: string;
  /** How long events that a crashed process held wait for another. Longer than any batch takes. */
  readonly ackWaitMs: number;
  readonly logLevel: string;
}

/** Throws a ConfigError that names every bad variable. */
export function readConsumersConfig(env: NodeJS.ProcessEnv): ConsumersConfig {
  const { DATABASE_URL, NATS_URL, ACK_WAIT_MS, LOG_LEVEL } = readConfig(schema, env);
  return { databaseUrl: DATABASE_URL, natsUrl: NATS_URL, ackWaitMs: ACK_WAIT_MS, logLevel: LOG_LEVEL };
}
