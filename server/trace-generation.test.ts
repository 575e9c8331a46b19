import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Prompt } from '../generation/prompts/prompt.ts';
import type { WrittenTips } from '../generation/write-tips.ts';
import { traceGeneration } from './trace-generation.ts';

const exporter = new InMemorySpanExporter();
beforeAll(() => {
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }));
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
});
beforeEach(() => exporter.reset());
afterAll(() => {
  trace.disable();
  context.disable();
  propagation.disable();
});

const prompt = { version: 'v2-mentor' } as Prompt;
const written: WrittenTips = {
  tips: [],
  model: 'small',
  askedModel: 'small',
  promptVersion: 'v2-mentor',
  promptHash: 'f'.repeat(64),
  requestedPromptVersion: 'v2-mentor',
  promptTokens: 321,
  completionTokens: 54,
  degradations: [],
  failure: undefined,
  dropped: {},
};
const traceId = '0af7651916cd43dd8448eb211c80319c';
const headers = new Headers({ traceparent: `00-${traceId}-b7ad6b7169203331-01` });

describe('a span of a generation', () => {
  it('names the prompt that wrote the tips, the model and the tokens, below the span of the caller', async () => {
    expect(await traceGeneration(headers, { prompt, model: 'small' }, async () => written)).toBe(written);
    const [span] = exporter.getFinishedSpans();
    expect(span?.name).toBe('chat small');
    expect(span?.kind).toBe(SpanKind.CLIENT);
    expect(span?.spanContext().traceId).toBe(traceId);
    expect(span?.attributes).toEqual({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.output.type': 'json',
      'gen_ai.request.model': 'small',
      'gen_ai.prompt.name': 'tip',
      'gen_ai.prompt.version': 'v2-mentor',
      'oo.prompt.hash': 'f'.repeat(64),
      'oo.prompt.requested_version': 'v2-mentor',
      'gen_ai.usage.input_tokens': 321,
      'gen_ai.usage.output_tokens': 54,
      'gen_ai.response.model': 'small',
    });
    expect(span?.status.code).toBe(SpanStatusCode.UNSET);
  });

  it('says which version wrote instead, and why, where templates did', async () => {
    const fallback = { ...written, model: '', promptVersion: 'fallback', failure: 'No answer within 800 ms.' };
    await traceGeneration(new Headers(), { prompt, model: 'small' }, async () => ({
      ...fallback,
      degradations: ['llm_timeout'],
    }));
    const [span] = exporter.getFinishedSpans();
    expect(span?.attributes).toMatchObject({
      'gen_ai.prompt.version': 'fallback',
      'oo.prompt.requested_version': 'v2-mentor',
      'error.type': 'llm_timeout',
    });
    expect(span?.attributes).not.toHaveProperty('gen_ai.response.model');
    expect(span?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'No answer within 800 ms.' });
  });

  it('ends where writing throws, and passes that on', async () => {
    const failing = traceGeneration(headers, { prompt, model: undefined }, () => Promise.reject(new Error('a bug')));
    await expect(failing).rejects.toThrow('a bug');
    expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(['chat']);
  });
});
