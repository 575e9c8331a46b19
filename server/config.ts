import { z } from 'zod';
import { defaultPolicy, policies } from '../experiments/policies/index.ts';
import { integer, logLevel, readConfig, required, url } from '../platform/config.ts';

const known = [...policies.keys()].join(', ');

const schema = z
  .object({
    PORT: integer(0, 65_535).default(8080),
    HOST: z.string().default('127.0.0.1'),
    DATABASE_URL: required('the Postgres to read from').pipe(url('postgres', 'postgresql')),
    NATS_URL: required('the NATS server to log decisions to').pipe(url('nats', 'tls')),
    AUTH_KEYS_FILE: z.string().optional(),
    DEFAULT_POLICY: z
      .string()
      .default(defaultPolicy)
      .refine((name) => policies.has(name), `must be one of ${known}`),
    DEFAULT_PROMPT_VERSION: z.string().default('v1'),
    LLM_BASE_URL: url('http', 'https').optional(),
    LLM_MODEL: z.string().optional(),
    LLM_API_KEY: z.string().optional(),
    LOG_LEVEL: logLevel.default('info'),
  })
  .refine((env) => !env.LLM_BASE_URL || env.LLM_MODEL, {
    path: ['LLM_MODEL'],
    message: 'is not set: LLM_BASE_URL needs a model to ask',
    when: () => true,
  });

export interface ServerConfig {
  readonly port: number;
  readonly host: string;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  /** Path of the file with the callers' keys. Undefined: everyone may call, on loopback only. */
  readonly authKeysFile: string | undefined;
  readonly policy: string;
  readonly promptVersion: string;
  /** Undefined: no language model; templates write all tips. */
  readonly llm: { readonly baseUrl: string; readonly model: string; readonly apiKey: string | undefined } | undefined;
  readonly logLevel: string;
}

/** Throws a ConfigError that names every bad variable. */
export function readServerConfig(environment: NodeJS.ProcessEnv): ServerConfig {
  const env = readConfig(schema, environment);
  return {
    port: env.PORT,
    host: env.HOST,
    databaseUrl: env.DATABASE_URL,
    natsUrl: env.NATS_URL,
    authKeysFile: env.AUTH_KEYS_FILE,
    policy: env.DEFAULT_POLICY,
    promptVersion: env.DEFAULT_PROMPT_VERSION,
    llm:
      env.LLM_BASE_URL && env.LLM_MODEL
        ? { baseUrl: env.LLM_BASE_URL, model: env.LLM_MODEL, apiKey: env.LLM_API_KEY }
        : undefined,
    logLevel: env.LOG_LEVEL,
  };
}
