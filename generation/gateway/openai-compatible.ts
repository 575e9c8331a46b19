import { collect, parseCompletion, readCompletion, toAnswer } from './completion.ts';
import { attempt, type LlmAnswer, type LlmGateway, type LlmRequest, type OnText } from './gateway.ts';
import { endpointOf, fetchAnswer, readJsonText, toLlmError, type Upstream } from './upstream.ts';

/** Any server with OpenAI's `/chat/completions`. Throws on options that no call could succeed with. */
export function openAiCompatible(upstream: Upstream): LlmGateway {
  const { model, apiKey } = upstream;
  const url = endpointOf(upstream);
  const headers = {
    'content-type': 'application/json',
    ...(apiKey && { authorization: `Bearer ${apiKey}` }),
  };

  const ask = async (request: LlmRequest, signal: AbortSignal, onText: OnText | undefined): Promise<LlmAnswer> => {
    const accept = onText ? 'text/event-stream, application/json' : 'application/json';
    const body = JSON.stringify(toBody(model, request, onText !== undefined));
    const response = await fetchAnswer(url, { method: 'POST', headers: { ...headers, accept }, body, signal });
    if (onText) return await collect(readCompletion(response), model, onText);
    return toAnswer(parseCompletion(await readJsonText(response)), model);
  };
  const fail = (error: unknown) => {
    throw toLlmError(error);
  };
  return {
    model,
    complete: (request, options) =>
      attempt(model, options, (signal, onText) => ask(request, signal, onText).catch(fail)),
  };
}

function toBody(model: string, request: LlmRequest, isStreamed: boolean) {
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
    stream: isStreamed,
    ...(isStreamed && { stream_options: { include_usage: true } }),
  };
}
