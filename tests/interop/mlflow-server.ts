import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../platform/embedded/free-port.ts';
import { run } from '../../platform/embedded/process.ts';
import { type PythonServer, startPythonServer } from './python-server.ts';

export interface MlflowServerOptions {
  /** Where the environment's programs are. */
  readonly bin: string;
  /** Gets its database, its artifacts and its log. */
  readonly folder: string;
  /** Whether it asks who one is. Then its first user is `admin`. */
  readonly asksWho?: boolean;
}

export interface MlflowServer extends PythonServer {
  readonly url: string;
  readonly password: string;
  /** Logs a model as a data scientist does (`mlflow-log.py`), and returns the name that it got. */
  logModel(name: string, how: LoggedHow): Promise<void>;
}

export type LoggedHow = 'onnx' | 'external' | 'sklearn' | 'no-golden';

const script = fileURLToPath(new URL('./mlflow-log.py', import.meta.url));

/** A real `mlflow server` on SQLite, in one process; it takes some 15 s, and basic auth some more. */
export async function startMlflow({ bin, folder, asksWho = false }: MlflowServerOptions): Promise<MlflowServer> {
  mkdirSync(folder, { recursive: true });
  const password = 'a-password-of-tests';
  const auth = join(folder, 'auth.ini');
  writeFileSync(
    auth,
    `[mlflow]
default_permission = READ
database_uri = sqlite:///${join(folder, 'auth.db')}
admin_username = admin
admin_password = ${password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
`,
  );
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const store = ['--backend-store-uri', `sqlite:///${join(folder, 'mlflow.db')}`];
  const server = await startPythonServer({
    program: join(bin, 'mlflow'),
    args: [
      ...['server', ...store, '--artifacts-destination', join(folder, 'artifacts')],
      ...['--host', '127.0.0.1', '--port', String(port), '--workers', '1'],
      // the program that serves is a child: by this, too, it is found
      ...['--uvicorn-opts', `--app-dir ${folder}`],
      ...(asksWho ? ['--app-name', 'basic-auth'] : []),
    ],
    folder,
    healthUrl: `${url}/health`,
    env: {
      PATH: `${bin}:${process.env.PATH}`, // it looks for uvicorn there
      MLFLOW_AUTH_CONFIG_PATH: auth,
      MLFLOW_FLASK_SERVER_SECRET_KEY: 'of tests',
      MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false',
      MLFLOW_DISABLE_TELEMETRY: 'true',
    },
  });
  const logModel = async (name: string, how: LoggedHow) => {
    await run(join(bin, 'python'), [script, url, name, how], { cwd: folder, timeoutMs: 120_000 });
  };
  return { url, password, logModel, ...server };
}
