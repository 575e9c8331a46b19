import { setImmediate as turn } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { createContextValues, createHandlerContext } from '@connectrpc/connect';
import { expect, it } from 'vitest';
import { type TipCandidate, TipCandidateSchema } from '../../gen/proto/oo/serving/v1/candidate_pb.ts';
import {
  type GenerateResponse,
  GenerateResponseSchema,
  GenerateStreamRequestSchema,
  ServingService,
} from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import { createGenerateStream } from './generate-stream.ts';

const candidate = (id: string) => create(TipCandidateSchema, { id });
const done = create(GenerateResponseSchema, { generationId: 'g' });

/** A stream whose generation the test drives. */
function setUp() {
  const answer = Promise.withResolvers<GenerateResponse>();
  let give: (candidate: TipCandidate) => void = () => expect.fail('it has not begun');
  const stream = createGenerateStream((_, __, onCandidate) => {
    give = onCandidate ?? give;
    return answer.promise;
  });
  const context = createHandlerContext({
    service: ServingService,
    method: ServingService.method.generateStream,
    protocolName: 'grpc',
    requestMethod: 'POST',
    url: 'http://localhost/',
    contextValues: createContextValues(),
  });
  const parts = stream(create(GenerateStreamRequestSchema), context);
  const seen: unknown[] = [];
  const reading = (async () => {
    for await (const { part } of parts) seen.push(part.case === 'candidate' ? part.value.id : part.case);
  })();
  reading.catch(() => undefined);
  return { give: (id: string) => give(candidate(id)), answer, parts, seen, reading };
}

it('sends each candidate at once, and the answer only once it is logged', async () => {
  const { give, answer, seen, reading } = setUp();
  give('a');
  await turn();
  expect(seen).toEqual(['a']);
  give('b');
  give('c');
  await turn();
  expect(seen).toEqual(['a', 'b', 'c']);
  for (const last of ['d', 'e', 'f', 'g']) give(last);
  answer.resolve(done);
  await reading;
  expect(seen).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'done']);
});

it('ends with the error, and no answer, where it could not be logged', async () => {
  const { give, answer, seen, reading } = setUp();
  give('a');
  await turn();
  answer.reject(new Error('no log'));
  await expect(reading).rejects.toThrow('no log');
  expect(seen).toEqual(['a']);
});

it('leaves a generation that nobody waits for to itself', async () => {
  const { give, answer, parts, seen } = setUp();
  give('a');
  await turn();
  const returned = parts.return(undefined);
  give('b');
  answer.reject(new Error('no log')); // must not be an unhandled rejection
  await returned;
  await turn();
  expect(seen).toEqual(['a', 'b']);
});
