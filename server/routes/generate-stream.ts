import { create } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import {
  GenerateRequestSchema,
  type GenerateStreamRequest,
  type GenerateStreamResponse,
  GenerateStreamResponseSchema,
} from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import type { createGenerate } from './generate.ts';

/** The tips one by one, and the whole answer last. They become complete together as long as the model does not stream. */
export function createGenerateStream(generate: ReturnType<typeof createGenerate>) {
  return async function* (
    request: GenerateStreamRequest,
    context: HandlerContext,
  ): AsyncGenerator<GenerateStreamResponse> {
    const done = await generate(request.generate ?? create(GenerateRequestSchema), context);
    for (const candidate of done.candidates)
      yield create(GenerateStreamResponseSchema, { part: { case: 'candidate', value: candidate } });
    yield create(GenerateStreamResponseSchema, { part: { case: 'done', value: done } });
  };
}
