import { z } from 'zod';
import { type LlmAnswer, LlmError, type LlmGateway, type LlmRequest, within } from './gateway.ts';
import { badOutput, endpointOf, fetchJsonText, isModelName, toLlmError, type Upstream } from './upstream.ts';

const uint32Max = 0xffff_ffff;

/** Any server with OpenAI's `/chat/completions`. Throws on options that no call could succeed with. */
export function openAiCompatible(upstream: Upstream): LlmGateway {
  const { model, apiKey } = upstream;
  const url = endpointOf(upstream);
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json',
    ...(apiKey && { authorization: `Bearer ${apiKey}` }),
  };

  const ask = async (request: LlmRequest, signal: AbortSignal): Promise<LlmAnswer> => {
    const body = JSON.stringify(toBody(model, request));
    return readAnswer(await fetchJsonText(url, { method: 'POST', headers, body, signal }), model);
  };
  const fail = (error: unknown) => {
    throw toLlmError(error);
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
  const { model, choices, usage: told } = parsed.data;
  const usage = { promptTokens: told.prompt_tokens, completionTokens: told.completion_tokens };
  const choice = choices[0];
  if (choice?.message.refusal || choice?.finish_reason === 'content_filter') {
    throw new LlmError('refused', 'The language model refused to answer.', { usage });
  }
  if (choice?.finish_reason === 'length') throw badOutput('an answer cut off at its maximum length', { usage });
  if (!choice?.message.content) throw badOutput('an empty answer', { usage });
  return { text: choice.message.content, model: isModelName(model) ? model : askedModel, ...usage };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
