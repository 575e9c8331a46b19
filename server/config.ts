import { z } from 'zod';
import { defaultPolicy, policies } from '../experiments/policies/index.ts';
import type { ProfileFeatureName } from '../features/definitions.ts';
import type { FeastStoreOptions } from '../features/feast-store.ts';
import { profileFeatures } from '../gen/proto/oo/contract.ts';
import type { GatewayOptions } from '../generation/gateway/create-gateway.ts';
import { integer, logLevel, readConfig, required, url } from '../platform/config.ts';
import { llmNeeds, llmVariables, toLlm, unpricedModels } from './llm-config.ts';

const known = [...policies.keys()].join(', ');

const plainSchema = z
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
    ...llmVariables,
    FEAST_URL: url('http', 'https')
      .refine((value) => !hasCredentials(value), 'must not hold a user name or password')
      .optional(),
    FEAST_FEATURES: z.string().transform(readFeastFeatures).optional(),
    FEAST_ENTITY_KEY: z.string().default('user_id'),
    FEAST_TIMEOUT_MS: integer(1, 1000).default(25),
    LOG_LEVEL: logLevel.default('info'),
  })
  .refine((env) => !env.FEAST_URL || env.FEAST_FEATURES, {
    path: ['FEAST_FEATURES'],
    message: 'is not set: FEAST_URL needs features to read',
    when: () => true,
  })
  .superRefine((env, context) => {
    const unpriced = unpricedModels(env).join(', ');
    if (unpriced) context.addIssue({ code: 'custom', path: ['LLM_PRICES'], message: `has no price of ${unpriced}` });
  });

const schema = llmNeeds.reduce(
  (rules, { given, needed, why }) =>
    rules.refine((env) => env[given] === undefined || env[needed] !== undefined, {
      path: [needed],
      message: `is not set: ${why}`,
      when: () => true,
    }),
  plainSchema,
);

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
  readonly llm: GatewayOptions | undefined;
  /** Undefined: all features are our own. */
  readonly feast: FeastStoreOptions | undefined;
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
    llm: toLlm(env),
    feast:
      env.FEAST_URL && env.FEAST_FEATURES
        ? {
            url: env.FEAST_URL,
            features: env.FEAST_FEATURES,
            entityKey: env.FEAST_ENTITY_KEY,
            timeoutMs: env.FEAST_TIMEOUT_MS,
          }
        : undefined,
    logLevel: env.LOG_LEVEL,
  };
}

function hasCredentials(value: string): boolean {
  const parsed = URL.parse(value);
  return Boolean(parsed?.username || parsed?.password);
}

/** Reads `preferred_hour=habits:hour,…`: our feature, and Feast's reference to its own. Every bad part is an issue. */
function readFeastFeatures(text: string, context: z.RefinementCtx): ReadonlyMap<ProfileFeatureName, string> {
  const features = new Map<ProfileFeatureName, string>();
  const partOf = new Map<ProfileFeatureName, number>();
  for (const [i, part] of text.split(',').entries()) {
    const refuse = (why: string) => context.addIssue(`part ${i + 1} ${why}`);
    const [, name, reference] = /^\s*([^\s=]+)\s*=\s*([^\s:=]+:[^\s:=]+)\s*$/.exec(part) ?? [];
    const feature = profileFeatures.find((known) => known.name === name)?.name;
    const earlier = feature && partOf.get(feature);
    if (name === undefined || reference === undefined) refuse('must be <feature>=<view>:<feature in Feast>');
    else if (!feature)
      refuse(`names no profile feature; they are ${profileFeatures.map((known) => known.name).join(', ')}`);
    else if (earlier) refuse(`is for the same feature as part ${earlier}`);
    else {
      features.set(feature, reference);
      partOf.set(feature, i + 1);
    }
  }
  return features;
}
