import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, jsonSchema, NoOutputGeneratedError, Output } from 'ai';
import { type LlmAnswer, LlmError, type LlmGateway, type LlmRequest, within } from './gateway.ts';
import { badOutput, causesOf, endpointOf, fetchJsonText, isModelName, toLlmError, type Upstream } from './upstream.ts';

const uint32Max = 0xffff_ffff;

/** The same as `openAiCompatible`, asked through the AI SDK. What the SDK leaves open, its `fetch` here closes. */
export function aiSdk(upstream: Upstream): LlmGateway {
  endpointOf(upstream); // throws on options that no call could succeed with
  refuseModelNames();
  const { origin, pathname, searchParams } = new URL(upstream.baseUrl);
  const model = createOpenAICompatible({
    name: 'upstream',
    baseURL: origin + pathname.replace(/\/+$/, ''),
    queryParams: Object.fromEntries(searchParams),
    ...(upstream.apiKey && { apiKey: upstream.apiKey }),
    supportsStructuredOutputs: true, // without it the schema is not sent, silently
    fetch: guardedFetch,
  }).chatModel(upstream.model);

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
    const usage = {
      promptTokens: tokens(result.usage.inputTokens),
      completionTokens: tokens(result.usage.outputTokens),
    };
    if (result.finishReason === 'content-filter') {
      throw new LlmError('refused', 'The language model refused to answer.', { usage });
    }
    if (result.finishReason === 'length') throw badOutput('an answer cut off at its maximum length', { usage });
    if (!result.text) throw badOutput('an empty answer', { usage });
    const { modelId } = result.response;
    return { text: result.text, model: isModelName(modelId) ? modelId : upstream.model, ...usage };
  };
  const fail = (error: unknown) => {
    throw toError(error);
  };
  return {
    model: upstream.model,
    complete: (request, options) => within(options, (signal) => ask(request, signal).catch(fail)),
  };
}

/** Asks for the schema, and leaves it to the caller to check the answer, as the port has it. */
function asText<Spec extends ReturnType<typeof Output.object>>(output: Spec) {
  return { ...output, parseCompleteOutput: async ({ text }: { readonly text: string }) => text };
}

/** The SDK follows redirects, reads errors, and reads up to 2 GiB; a count of tokens that is no number is its end. */
const guardedFetch: typeof fetch = async (url, init) => {
  const text = await fetchJsonText(url instanceof Request ? url.url : url, init ?? {});
  const headers = { 'content-type': 'application/json' };
  return new Response(JSON.stringify(sensible(parse(text))), { headers });
};

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
