import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../platform/embedded/free-port.ts';
import { type PythonServer, startPythonServer } from './python-server.ts';

export interface LitellmOptions {
  /** Where the environment's programs are. */
  readonly bin: string;
  /** Gets its configuration and its log. */
  readonly folder: string;
  /** Its models by name, each with what LiteLLM calls `litellm_params`. */
  readonly models: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** What LiteLLM itself asks where a model fails, by name. */
  readonly fallbacks?: Readonly<Record<string, readonly string[]>>;
}

export interface LitellmServer extends PythonServer {
  readonly baseUrl: string;
  /** The key that it takes. */
  readonly apiKey: string;
}

/** A real LiteLLM proxy without a database; the first start takes some 15 s, later ones half of it. */
export async function startLitellm({ bin, folder, models, fallbacks = {} }: LitellmOptions): Promise<LitellmServer> {
  const apiKey = 'sk-interop';
  const config = {
    model_list: Object.entries(models).map(([name, params]) => ({ model_name: name, litellm_params: params })),
    // Its retries would only wait before what the tests want to see, and its cooldown hide it.
    router_settings: { num_retries: 0, disable_cooldowns: true },
    litellm_settings: { fallbacks: Object.entries(fallbacks).map(([name, next]) => ({ [name]: next })) },
    general_settings: { master_key: apiKey },
  };
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'config.yaml');
  writeFileSync(file, JSON.stringify(config)); // JSON is YAML too

  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = await startPythonServer({
    program: join(bin, 'litellm'),
    args: ['--config', file, '--host', '127.0.0.1', '--port', String(port)],
    folder,
    healthUrl: `${url}/health/liveliness`,
    // Prices from the package, not from the internet; no line for each request.
    env: { LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR', LITELLM_TELEMETRY: 'False' },
  });
  return { baseUrl: `${url}/v1`, apiKey, ...server };
}
