import { retry } from '../../platform/retry.ts';
import { MlflowError } from './error.ts';

export type Credentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string };

export interface MlflowOptions {
  /** Of the tracking server, for example `http://localhost:5000`; a path before `/api` is kept. */
  readonly url: string;
  readonly credentials: Credentials | undefined;
  /** For one try of one call. Default: 10 s; ten times that where a model's bytes are moved. */
  readonly timeoutMs?: number | undefined;
  /** Ends every call. */
  readonly signal?: AbortSignal | undefined;
  readonly random: () => number;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below `/api/2.0/`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  /** Bytes are sent as they are, anything else as JSON. */
  readonly body?: unknown;
  /** Whether doing it twice is as good as once. Only then is it tried again. */
  readonly isRepeatable: boolean;
  /** A longer answer is refused. */
  readonly bytesMax: number;
}

/** Does a call. Throws an MlflowError, or the reason of the signal that ended it. */
export type Connection = (call: Call) => Promise<Uint8Array<ArrayBuffer>>;

const tries = 3;
const firstWaitMs = 200;
const maxWaitMs = 2_000;

/** Where MLflow is, and how to be let in: always the same way, since credentials must not follow a redirect. */
export function connect(options: MlflowOptions): Connection {
  const { url, credentials, timeoutMs = 10_000, random } = options;
  const never = new AbortController().signal;
  const stop = options.signal ?? never;
  const base = baseOf(url);
  const headers = credentials ? { authorization: authorization(credentials) } : undefined;
  const secrets = secretsOf(credentials);

  const once = async (call: Call): Promise<Uint8Array<ArrayBuffer>> => {
    const { method, path, query = {}, body, bytesMax } = call;
    const target = new URL(`${base}/api/2.0/${path}`);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) target.searchParams.set(name, String(value));
    const isRaw = body instanceof Uint8Array;
    const limitMs = isRaw || bytesMax > jsonBytesMax ? timeoutMs * 10 : timeoutMs;
    const late = AbortSignal.timeout(limitMs);
    const name = nameOf(call);
    try {
      const response = await fetch(target, {
        ...{ method, redirect: 'manual', signal: AbortSignal.any([late, stop]) },
        headers: { ...headers, ...(body !== undefined && { 'content-type': isRaw ? raw : json }) },
        ...(body !== undefined && { body: isRaw ? new Uint8Array(body) : JSON.stringify(body) }),
      });
      if (!response.ok) throw await refusal(response, name, secrets);
      return await readBytes(response, name, bytesMax);
    } catch (error) {
      stop.throwIfAborted();
      if (error instanceof MlflowError) throw error;
      if (late.aborted) throw new MlflowError(name, `did not answer within ${limitMs} ms`, 'LATE');
      throw new MlflowError(name, `could not be reached: ${causeOf(error)}`, 'UNREACHABLE');
    }
  };

  return (call) => {
    let left = call.isRepeatable ? tries - 1 : 0;
    return retry(() => once(call), {
      ...{ firstMs: firstWaitMs, maxMs: maxWaitMs, signal: stop, random },
      shouldRetry: (error) => error instanceof MlflowError && error.passes && left-- > 0,
    });
  };
}

const json = 'application/json';
const raw = 'application/octet-stream';

/** No answer but an artifact's may be longer. A page of runs with all that is known of them has some 100 kB. */
export const jsonBytesMax = 16 * 2 ** 20;

const nameOf = ({ method, path }: Call) => `${method} ${path.replace(/^mlflow\//, '')}`;

/** Without a user and password, which the platform's fetch refuses there and would name in its error. */
function baseOf(text: string): string {
  const { origin, pathname } = new URL(text);
  return `${origin}${pathname.replace(/\/+$/, '')}`;
}

function authorization(credentials: Credentials): string {
  if (credentials.kind === 'bearer') return `Bearer ${credentials.token}`;
  const { username, password } = credentials;
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function secretsOf(credentials: Credentials | undefined): readonly string[] {
  if (!credentials) return [];
  return credentials.kind === 'bearer' ? [credentials.token] : [credentials.password];
}

const advice: Readonly<Record<number, string>> = {
  401: 'knows no such user: see MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN',
  403: 'does not allow it: the user lacks the permission, or the server was started without this host in --allowed-hosts',
};

/** MLflow's own error where there is one. Whatever else answers, as a proxy with a page, is named by its status alone. */
async function refusal(response: Response, name: string, secrets: readonly string[]): Promise<MlflowError> {
  const { status } = response;
  if (status >= 300 && status < 400) {
    response.body?.cancel().catch(() => undefined);
    return new MlflowError(
      name,
      `answered with a redirect, which is not followed: correct the URL`,
      'REDIRECT',
      status,
    );
  }
  const answer = parseJson(await readBytes(response, name, jsonBytesMax).catch(() => new Uint8Array()));
  const { error_code: code, message } = (answer ?? {}) as { readonly error_code?: unknown; readonly message?: unknown };
  const said = typeof message === 'string' ? `: ${cleaned(message, secrets)}` : '';
  const what =
    advice[status] ??
    `answered with status ${status}${typeof code === 'string' ? ` ${cleaned(code, secrets)}` : ''}${said}`;
  return new MlflowError(name, what, typeof code === 'string' ? code : `HTTP_${status}`, status);
}

const messageMax = 300;

/** One short printable line without what we sent to be let in. */
function cleaned(text: string, secrets: readonly string[]): string {
  const clean = secrets.reduce((rest, secret) => (secret === '' ? rest : rest.replaceAll(secret, '***')), text);
  return clean.replace(/[^\x20-\x7e]+/g, ' ').slice(0, messageMax);
}

async function readBytes(response: Response, name: string, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax)
      throw new MlflowError(name, `answered with more than ${bytesMax} bytes`, 'TOO_LARGE', response.status);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(bytes);
  chunks.reduce((offset, chunk) => {
    whole.set(chunk, offset);
    return offset + chunk.byteLength;
  }, 0);
  return whole;
}

/** Undefined: it is no JSON. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/** The code alone: the text of other errors can hold parts of what was sent. */
function causeOf(error: unknown): string {
  const code = error instanceof Error ? (error.cause as { code?: unknown } | undefined)?.code : undefined;
  return typeof code === 'string' ? code : 'the connection failed';
}
