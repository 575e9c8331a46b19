import { z } from 'zod';
import { url } from '../../platform/config.ts';
import type { Credentials, MlflowOptions } from './connection.ts';

/** The variables that MLflow's own clients read. */
export const mlflowVariables = {
  MLFLOW_TRACKING_URI: url('http', 'https').optional(),
  MLFLOW_TRACKING_USERNAME: z.string().optional(),
  MLFLOW_TRACKING_PASSWORD: z.string().optional(),
  MLFLOW_TRACKING_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'must be a single word')
    .optional(),
};

export type MlflowVariables = z.infer<z.ZodObject<typeof mlflowVariables>>;
export type MlflowTarget = Pick<MlflowOptions, 'url' | 'credentials'>;

/**
 * Which MLflow, and who we are there: by the URL's user and password, else the variables', else the token. Undefined: none
 * is wanted.
 */
export function readMlflowTarget(env: MlflowVariables): MlflowTarget | undefined {
  if (!env.MLFLOW_TRACKING_URI) return undefined;
  const url = new URL(env.MLFLOW_TRACKING_URI);
  const credentials = credentialsOf(url, env);
  url.username = '';
  url.password = '';
  return { url: url.href, credentials };
}

function credentialsOf({ username, password }: URL, env: MlflowVariables): Credentials | undefined {
  if (username !== '')
    return { kind: 'basic', username: decodeURIComponent(username), password: decodeURIComponent(password) };
  const { MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: word, MLFLOW_TRACKING_TOKEN: token } = env;
  if (user !== undefined && word !== undefined) return { kind: 'basic', username: user, password: word };
  return token === undefined ? undefined : { kind: 'bearer', token };
}
