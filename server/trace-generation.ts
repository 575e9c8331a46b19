import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Prompt } from '../generation/prompts/prompt.ts';
import type { WrittenTips } from '../generation/write-tips.ts';

/** All tries and models together, as the conventions ask. Costs nothing in a process that was started without an SDK. */
const tracer = trace.getTracer('oo-ml');

/**
 * Writes tips within a span of OpenTelemetry's conventions for generative AI
 * (github.com/open-telemetry/semantic-conventions-genai, 0.1), below the caller's own span. It names versions, models and
 * numbers: never a person, a prompt or a tip.
 */
export function traceGeneration(
  headers: Headers,
  { prompt, model }: { readonly prompt: Prompt; readonly model: string | undefined },
  write: () => Promise<WrittenTips>,
): Promise<WrittenTips> {
  const parent = propagation.extract(context.active(), headers, {
    get: (carrier, key) => carrier.get(key) ?? undefined,
    keys: (carrier) => [...carrier.keys()],
  });
  const asked = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.output.type': 'json',
    ...(model !== undefined && { 'gen_ai.request.model': model }),
  };
  const name = model === undefined ? 'chat' : `chat ${model}`;
  return tracer.startActiveSpan(name, { kind: SpanKind.CLIENT, attributes: asked }, parent, async (span) => {
    try {
      const written = await write();
      const [degradation] = written.degradations;
      span.setAttributes({
        'gen_ai.prompt.name': 'tip',
        'gen_ai.prompt.version': written.promptVersion,
        'oo.prompt.hash': written.promptHash,
        'oo.prompt.requested_version': prompt.version,
        'gen_ai.usage.input_tokens': written.promptTokens,
        'gen_ai.usage.output_tokens': written.completionTokens,
        ...(written.model !== '' && { 'gen_ai.response.model': written.model }),
        ...(degradation && { 'error.type': degradation }),
      });
      if (written.failure) span.setStatus({ code: SpanStatusCode.ERROR, message: written.failure });
      return written;
    } finally {
      span.end();
    }
  });
}
