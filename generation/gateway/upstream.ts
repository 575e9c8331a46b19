import { LlmError, type LlmErrorOptions } from './gateway.ts';

/** One model at one place. */
export interface Upstream {
  /** For example `http://localhost:11434/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  /** Sent as a bearer token. Undefined or empty: none is sent. */
  readonly apiKey?: string | undefined;
}

/** No answer may be longer. Tips need a few kilobytes. */
export const answerBytesMax = 1_048_576;

/** The URL that chat completions are posted to. Throws on options that no call could succeed with. */
export function endpointOf({ baseUrl, model, apiKey }: Upstream): URL {
  const url = URL.parse(baseUrl);
  if (!url || !/^https?:$/.test(url.protocol)) throw new Error('LLM_BASE_URL must be an http or https URL.');
  if (url.username || url.password) throw new Error('LLM_BASE_URL must not hold a password; use LLM_API_KEY.');
  if (!isModelName(model)) throw new Error('LLM_MODEL must be 1 to 128 printable ASCII characters.');
  // fetch would refuse it too, but with a message that repeats the key
  if (apiKey && !/^[!-~]+$/.test(apiKey)) throw new Error('LLM_API_KEY must be printable ASCII without spaces.');
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/chat/completions`;
  return url;
}

/** A good answer, of which nothing is read yet. Follows no redirect, and reads no error: both are an `LlmError` instead. */
export async function fetchAnswer(url: string | URL, init: RequestInit): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: 'manual' });
  if (!response.ok) {
    response.body?.cancel().catch(() => undefined); // its text could repeat the prompt: nobody reads it
    throw statusError(response);
  }
  return response;
}

/** The JSON text of an answer. It is an `LlmError` if it is something else, or longer than a bound. */
export async function readJsonText(response: Response): Promise<string> {
  if (!isJson(response.headers.get('content-type'))) throw badOutput('an answer that is not JSON');
  return await readText(response);
}

export function badOutput(what: string, options: LlmErrorOptions = {}): LlmError {
  return new LlmError('bad_output', `The language model sent ${what}.`, options);
}

/** Keeps only the code of what went wrong below: the text of other errors can hold parts of the question or answer. */
export function toLlmError(error: unknown): LlmError {
  const causes = causesOf(error);
  const known = causes.find((cause) => cause instanceof LlmError);
  if (known) return known;
  const code = causes.map((cause) => (cause as { code?: unknown }).code).find((code) => typeof code === 'string');
  return new LlmError('unavailable', `The language model could not be reached: ${code ?? 'connection failed'}.`);
}

/** An error, what caused it, what caused that: outermost first. */
export function causesOf(error: unknown): readonly Error[] {
  const causes: Error[] = [];
  for (let at = error; at instanceof Error && causes.length < 8; at = at.cause) causes.push(at);
  return causes;
}

export function isModelName(text: string): boolean {
  return /^[ -~]{1,128}$/.test(text);
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > answerBytesMax) throw badOutput(`an answer of more than ${answerBytesMax} bytes`); // ends the reading
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

function statusError({ status, headers }: Response): LlmError {
  return new LlmError('unavailable', `The language model answered with status ${status}.`, {
    retryable: status === 408 || status === 429 || status >= 500,
    retryAfterMs: readRetryAfter(headers.get('retry-after')),
  });
}

/** Reads seconds. The other form, a date, is left: it would need the provider's clock to agree with ours. */
function readRetryAfter(header: string | null): number | undefined {
  return header !== null && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined;
}

function isJson(contentType: string | null): boolean {
  return /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(contentType ?? '');
}
