import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, jsonSchema, NoOutputGeneratedError, Output } from 'ai';
import { type CompletionPiece, collect, readCompletion, toAnswer } from './completion.ts';
import { attempt, type LlmAnswer, LlmError, type LlmGateway, type LlmRequest, type OnText } from './gateway.ts';
import {
  badOutput,
  causesOf,
  endpointOf,
  fetchAnswer,
  isModelName,
  readJsonText,
  toLlmError,
  type Upstream,
} from './upstream.ts';

const uint32Max = 0xffff_ffff;

/** The same as `openAiCompatible`, asked through the AI SDK. What the SDK leaves open, its `fetch` here closes. */
export function aiSdk(upstream: Upstream): LlmGateway {
  endpointOf(upstream); // throws on options that no call could succeed with
  refuseModelNames();
  const { origin, pathname, searchParams } = new URL(upstream.baseUrl);
  const over = (fetch: typeof globalThis.fetch) =>
    createOpenAICompatible({
      name: 'upstream',
      baseURL: origin + pathname.replace(/\/+$/, ''),
      queryParams: Object.fromEntries(searchParams),
      ...(upstream.apiKey && { apiKey: upstream.apiKey }),
      supportsStructuredOutputs: true, // without it the schema is not sent, silently
      includeUsage: true,
      fetch,
    }).chatModel(upstream.model);
  const model = over(guardedFetch);
  const streaming = over(guardedStream);

  const ask = async (request: LlmRequest, signal: AbortSignal): Promise<LlmAnswer> => {
    const result = await generateText({
      model,
      instructions: request.system,
      prompt: request.user,
      temperature: request.temperature,
      maxOutputTokens: request.maxOutputTokens,
      output: asText(Output.object({ name: request.schemaName, schema: jsonSchema(request.schema) })),
      maxRetries: 0, // its own retries wait for 2 and 4 seconds, whatever the deadline
      abortSignal: signal,
      telemetry: { isEnabled: false, recordInputs: false, recordOutputs: false },
    });
    const { finishReason, response, text, usage } = result;
    return toAnswer(pieceOf({ model: response.modelId, text, finishReason, ...usage }), upstream.model);
  };
  const hear = async (request: LlmRequest, signal: AbortSignal, onText: OnText): Promise<LlmAnswer> => {
    // one step below its `streamText`, which does not say which model writes before all is written
    const { stream } = await streaming.doStream({
      prompt: [
        { role: 'system', content: request.system },
        { role: 'user', content: [{ type: 'text', text: request.user }] },
      ],
      temperature: request.temperature,
      maxOutputTokens: request.maxOutputTokens,
      responseFormat: { type: 'json', name: request.schemaName, schema: request.schema },
      abortSignal: signal,
    });
    return await collect(toPieces(stream), upstream.model, onText);
  };
  const fail = (error: unknown) => {
    throw toError(error);
  };
  return {
    model: upstream.model,
    complete: (request, options) =>
      attempt(upstream.model, options, (signal, onText) =>
        (onText ? hear(request, signal, onText) : ask(request, signal)).catch(fail),
      ),
  };
}

/** Asks for the schema, and leaves it to the caller to check the answer, as the port has it. */
function asText<Spec extends ReturnType<typeof Output.object>>(output: Spec) {
  return { ...output, parseCompleteOutput: async ({ text }: { readonly text: string }) => text };
}

type SdkModel = ReturnType<ReturnType<typeof createOpenAICompatible>['chatModel']>;
type SdkStream = Awaited<ReturnType<SdkModel['doStream']>>['stream'];

async function* toPieces(stream: SdkStream): AsyncGenerator<CompletionPiece> {
  for await (const part of stream) {
    if (part.type === 'error') throw part.error;
    else if (part.type === 'response-metadata') yield pieceOf({ model: part.modelId });
    else if (part.type === 'text-delta') yield pieceOf({ text: part.delta });
    else if (part.type === 'finish') {
      const { inputTokens, outputTokens } = part.usage;
      const told = { inputTokens: inputTokens.total, outputTokens: outputTokens.total };
      yield pieceOf({ finishReason: part.finishReason.unified, ...told });
    }
  }
}

function pieceOf({
  model = '',
  text = '',
  finishReason,
  ...usage
}: {
  readonly model?: string | undefined;
  readonly text?: string;
  readonly finishReason?: string;
  readonly inputTokens?: number | undefined;
  readonly outputTokens?: number | undefined;
}): CompletionPiece {
  return {
    model: isModelName(model) ? model : '',
    text,
    finishReason,
    isRefused: finishReason === 'content-filter',
    usage: finishReason
      ? { promptTokens: tokens(usage.inputTokens), completionTokens: tokens(usage.outputTokens) }
      : undefined,
  };
}

/** The SDK follows redirects, reads errors, and reads up to 2 GiB; a count of tokens that is no number is its end. */
const guardedFetch: typeof fetch = async (url, init) => {
  const text = await readJsonText(await fetchAnswer(url instanceof Request ? url.url : url, init ?? {}));
  const headers = { 'content-type': 'application/json' };
  return new Response(JSON.stringify(sensible(parse(text))), { headers });
};

/** The same for a stream: what our own reader made of it, written down again. */
const guardedStream: typeof fetch = async (url, init) => {
  const response = await fetchAnswer(url instanceof Request ? url.url : url, init ?? {});
  const headers = { 'content-type': 'text/event-stream' };
  return new Response(ReadableStream.from(toEvents(withOwnErrors(readCompletion(response)))), { headers });
};

/** What breaks a stream would reach us as a fault of its form. */
async function* withOwnErrors<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item> {
  try {
    yield* items;
  } catch (error) {
    throw toLlmError(error);
  }
}

async function* toEvents(pieces: AsyncIterable<CompletionPiece>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  const write = (chunk: unknown) => encoder.encode(`data: ${JSON.stringify(chunk)}\n\n`);
  const refused = 'content_filter';
  let finish = 'stop';
  for await (const { model, text, finishReason, isRefused, usage } of pieces) {
    if (finish !== refused) finish = isRefused ? refused : (finishReason ?? finish);
    yield write({
      ...(model && { model }),
      choices: [{ delta: { content: finish === refused ? '' : text } }],
      ...(usage && { usage: { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens } }),
    });
  }
  yield write({ choices: [{ delta: {}, finish_reason: finish }] });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badOutput('JSON that is not a chat completion');
  }
}

function sensible(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null) return answer;
  const { usage, model, ...rest } = answer as { usage?: Record<string, unknown> | null; model?: unknown };
  return {
    ...rest,
    ...(typeof model === 'string' && { model }),
    usage: { prompt_tokens: tokens(usage?.prompt_tokens), completion_tokens: tokens(usage?.completion_tokens) },
  };
}

function tokens(value: unknown): number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= uint32Max ? Number(value) : 0;
}

/** The SDK's own errors hold the request and the answer: none of their text is kept. */
function toError(error: unknown): LlmError {
  const known = causesOf(error).some((cause) => cause instanceof LlmError);
  const isForm = APICallError.isInstance(error) ? error.statusCode === 200 : isOfForm(error);
  return !known && isForm ? badOutput('JSON that is not a chat completion') : toLlmError(error);
}

function isOfForm(error: unknown): boolean {
  return NoOutputGeneratedError.isInstance(error) || causesOf(error)[0]?.name === 'AI_InvalidResponseDataError';
}

/** A model given by name alone would be asked at the vendor's own gateway. Nobody here may do that by mistake. */
function refuseModelNames(): void {
  const refuse = () => {
    throw new Error('A language model was named without saying where it is.');
  };
  globalThis.AI_SDK_DEFAULT_PROVIDER = {
    specificationVersion: 'v4',
    languageModel: refuse,
    embeddingModel: refuse,
    imageModel: refuse,
  };
}
