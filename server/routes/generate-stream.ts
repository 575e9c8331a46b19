import { create } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import type { TipCandidate } from '../../gen/proto/oo/serving/v1/candidate_pb.ts';
import {
  GenerateRequestSchema,
  type GenerateStreamRequest,
  type GenerateStreamResponse,
  GenerateStreamResponseSchema,
} from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import type { createGenerate } from './generate.ts';

/**
 * Each tip as soon as it is complete, and the whole answer, which is logged by then, last. A caller who leaves leaves the
 * generation behind: it ends by itself at once, and logs what was sent.
 */
export function createGenerateStream(generate: ReturnType<typeof createGenerate>) {
  return async function* (
    request: GenerateStreamRequest,
    context: HandlerContext,
  ): AsyncGenerator<GenerateStreamResponse> {
    const waiting: TipCandidate[] = []; // never more than were asked for
    let news = Promise.withResolvers<void>();
    let isOver = false;
    const onCandidate = (candidate: TipCandidate) => {
      waiting.push(candidate);
      news.resolve();
    };
    const onEnd = () => {
      isOver = true;
      news.resolve();
    };
    const answer = generate(request.generate ?? create(GenerateRequestSchema), context, onCandidate);
    answer.then(onEnd, onEnd);

    while (!isOver || waiting.length > 0) {
      const candidate = waiting.shift();
      if (candidate) {
        yield create(GenerateStreamResponseSchema, { part: { case: 'candidate', value: candidate } });
        continue;
      }
      await news.promise;
      news = Promise.withResolvers();
    }
    yield create(GenerateStreamResponseSchema, { part: { case: 'done', value: await answer } });
  };
}
