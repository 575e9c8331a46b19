import { z } from 'zod';
import { type LlmAnswer, LlmError, type LlmGateway, type LlmRequest, within } from './gateway.ts';

/** No answer may be longer. Tips need a few kilobytes. */
const answerBytesMax = 1_048_576;
const uint32Max = 0xffff_ffff;

export interface OpenAiCompatibleOptions {
  /** For example `http://localhost:11434/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  /** Sent as a bearer token. Undefined or empty: none is sent. */
  readonly apiKey?: string | undefined;
}

/** Any server with OpenAI's `/chat/completions`. Throws on options that no call could succeed with. */
export function openAiCompatible({ baseUrl, model, apiKey }: OpenAiCompatibleOptions): LlmGateway {
  const url = endpointOf(baseUrl);
  if (!isModelName(model)) throw new Error('LLM_MODEL must be 1 to 128 printable ASCII characters.');
  const headers = { 'content-type': 'application/json', accept: 'application/json', ...authorization(apiKey) };

  const ask = async (request: LlmRequest, signal: AbortSignal): Promise<LlmAnswer> => {
    const body = JSON.stringify(toBody(model, request));
    const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' });
    if (!response.ok) {
      response.body?.cancel().catch(() => undefined); // its text could repeat the prompt: nobody reads it
      throw statusError(response);
    }
    if (!isJson(response.headers.get('content-type'))) throw badOutput('an answer that is not JSON');
    return readAnswer(await readText(response), model);
  };
  return { model, complete: (request, options) => within(options, (signal) => ask(request, signal).catch(fail)) };
}

function toBody(model: string, request: LlmRequest) {
  return {
    model,
    messages: [
      { role: 'system', content: request.system },
      { role: 'user', content: request.user },
    ],
    temperature: request.temperature,
    max_tokens: request.maxOutputTokens, // the newer max_completion_tokens is unknown to many compatible servers
    response_format: {
      type: 'json_schema',
      json_schema: { name: request.schemaName, strict: true, schema: request.schema },
    },
    stream: false,
  };
}

// Providers differ in all but the text, so the rest is taken if it makes sense and is left out if not.
const answerSchema = z.object({
  model: z.string().catch(''),
  choices: z
    .array(
      z.object({
        finish_reason: z.string().nullish().catch(null),
        message: z.object({ content: z.string().nullish(), refusal: z.string().nullish().catch(null) }),
      }),
    )
    .min(1),
  usage: z
    .object({ prompt_tokens: tokens(), completion_tokens: tokens() })
    .catch({ prompt_tokens: 0, completion_tokens: 0 }),
});

function tokens() {
  return z.int().min(0).max(uint32Max).catch(0);
}

function readAnswer(text: string, askedModel: string): LlmAnswer {
  const parsed = answerSchema.safeParse(parseJson(text));
  if (!parsed.success) throw badOutput('JSON that is not a chat completion');
  const { model, choices, usage } = parsed.data;
  const choice = choices[0];
  if (choice?.message.refusal || choice?.finish_reason === 'content_filter') {
    throw new LlmError('refused', 'The language model refused to answer.');
  }
  if (choice?.finish_reason === 'length') throw badOutput('an answer cut off at its maximum length');
  if (!choice?.message.content) throw badOutput('an empty answer');
  return {
    text: choice.message.content,
    model: isModelName(model) ? model : askedModel,
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
  };
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
    ...retryAfter(headers.get('retry-after')),
  });
}

/** Reads seconds. The other form, a date, is left: it would need the provider's clock to agree with ours. */
function retryAfter(header: string | null): { retryAfterMs?: number } {
  return header !== null && /^\d{1,6}$/.test(header) ? { retryAfterMs: Number(header) * 1000 } : {};
}

function badOutput(what: string): LlmError {
  return new LlmError('bad_output', `The language model sent ${what}.`);
}

/** Keeps only the code of what went wrong below: the text of other errors can hold parts of the answer. */
function fail(error: unknown): never {
  if (error instanceof LlmError) throw error;
  const code = error instanceof Error ? (error.cause as { code?: unknown } | undefined)?.code : undefined;
  const why = typeof code === 'string' ? code : 'connection failed';
  throw new LlmError('unavailable', `The language model could not be reached: ${why}.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isJson(contentType: string | null): boolean {
  return /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(contentType ?? '');
}

function isModelName(text: string): boolean {
  return /^[ -~]{1,128}$/.test(text);
}

function endpointOf(baseUrl: string): URL {
  const url = URL.parse(baseUrl);
  if (!url || !/^https?:$/.test(url.protocol)) throw new Error('LLM_BASE_URL must be an http or https URL.');
  if (url.username || url.password) throw new Error('LLM_BASE_URL must not hold a password; use LLM_API_KEY.');
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/chat/completions`;
  return url;
}

function authorization(apiKey: string | undefined): { authorization?: string } {
  if (!apiKey) return {};
  // fetch would refuse it too, but with a message that repeats the key
  if (!/^[!-~]+$/.test(apiKey)) throw new Error('LLM_API_KEY must be printable ASCII without spaces.');
  return { authorization: `Bearer ${apiKey}` };
}
