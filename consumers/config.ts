import { z } from 'zod';
import { integer, logLevel, readConfig, required, url } from '../platform/config.ts';
import { type MlflowTarget, mlflowVariables, readMlflowTarget } from '../registry/mlflow/environment.ts';

const schema = z.object({
  DATABASE_URL: required('the Postgres to write to').pipe(url('postgres', 'postgresql')),
  NATS_URL: required('the NATS server to read from').pipe(url('nats', 'tls')),
  ACK_WAIT_MS: integer(1_000, 300_000).default(30_000),
  IGNORED_AFTER_HOURS: integer(1, 8_760).default(24),
  EVENTS_KEEP_MONTHS: integer(2, 1_200).optional(),
  ...mlflowVariables,
  LOG_LEVEL: logLevel.default('info'),
});

export interface ConsumersConfig {
  readonly databaseUrl: string;
  readonly natsUrl: string;
  /**
   * How long events that a crashed process held wait for another. Longer than any batch takes, and shorter than a stream
   * remembers message ids: else a dead letter that was put aside just before the crash would be put aside again.
   */
  readonly ackWaitMs: number;
  /** A tip that nobody reacted to for this long was ignored. */
  readonly ignoredAfterMs: number;
  /** Months of events that are kept beside the current one. Undefined: all. */
  readonly keepMonths: number | undefined;
  /** Where models are mirrored to. Undefined: nowhere. */
  readonly mlflow: MlflowTarget | undefined;
  readonly logLevel: string;
}

/** Throws a ConfigError that names every bad variable. */
export function readConsumersConfig(env: NodeJS.ProcessEnv): ConsumersConfig {
  const config = readConfig(schema, env);
  return {
    databaseUrl: config.DATABASE_URL,
    natsUrl: config.NATS_URL,
    ackWaitMs: config.ACK_WAIT_MS,
    ignoredAfterMs: config.IGNORED_AFTER_HOURS * 3_600_000,
    keepMonths: config.EVENTS_KEEP_MONTHS,
    mlflow: readMlflowTarget(config),
    logLevel: config.LOG_LEVEL,
  };
}
