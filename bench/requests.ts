import { create, toBinary, toJsonString } from '@bufbuild/protobuf';
import { TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { type ScoreRequest, ScoreRequestSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { newId } from '../platform/ids.ts';
import { people, personId } from './people.ts';

export const scorePath = '/oo.serving.v1.ServingService/Score';

export const protocols = ['grpc', 'connect', 'json'] as const;
/** gRPC and the Connect protocol in protobuf over HTTP/2; JSON over HTTP/1.1. */
export type Protocol = (typeof protocols)[number];

/** The candidates of one Score: tasks as an integration lists them, and tips as a language model writes them. */
const candidatesOfScore = 20;

const texts = [
  'Call the dentist before noon and ask for the first free appointment next week',
  'Ten minutes outside now will do more for the afternoon than another coffee',
  'You finish most on Tuesdays before eleven: start with the report',
  'The insurance renewal is due in three days and takes about a quarter of an hour',
  'Reply to the two messages that have waited since Friday',
];

export function exampleRequest(
  requestId: string,
  userId: string,
  candidates: number = candidatesOfScore,
): ScoreRequest {
  return create(ScoreRequestSchema, {
    requestId,
    userId,
    context: { timeZone: 'Europe/Amsterdam' },
    candidates: Array.from({ length: candidates }, (_, i) => {
      const isTask = i % 2 === 0;
      return {
        id: `${isTask ? 'task' : 'tip'}-7f3a9c${String(i).padStart(2, '0')}`,
        content: texts[i % texts.length] ?? '',
        kind: isTask ? TipKind.TASK : TipKind.ADVICE,
        source: isTask ? TipSource.TASK_DIRECT : TipSource.LLM,
        ...(isTask
          ? {
              taskId: `todoist-8812${i}`,
              features: { isOverdue: i % 4 === 0, taskAgeDays: 0.75 + i * 1.5, priority: 1 + (i % 4) },
            }
          : { model: 'mistral-small-3.2', promptVersion: 'v1', confidence: 0.5 + i / 50, features: {} }),
      };
    }),
  });
}

/** The bytes of one call each, with a request id of its own and a random person. Costs a copy of the bytes. */
export function requestSource(protocol: Protocol): () => Buffer {
  const idPlace = '00000000-0000-7000-8000-000000000000';
  const example = exampleRequest(idPlace, personId(0));
  const bytes =
    protocol === 'json'
      ? Buffer.from(toJsonString(ScoreRequestSchema, example))
      : toBinary(ScoreRequestSchema, example);
  const template = protocol === 'grpc' ? grpcFrame(bytes) : Buffer.from(bytes);
  const idAt = template.indexOf(idPlace);
  const personAt = template.indexOf(personId(0));
  // The first 24 characters tell this source from all others, the last 12 count.
  template.write(newId(Date.now()).slice(0, 24), idAt, 'latin1');
  let sent = 0;
  return () => {
    const request = Buffer.from(template);
    request.write((++sent).toString(16).padStart(12, '0'), idAt + 24, 'latin1');
    request.write(personId(Math.floor(Math.random() * people)), personAt, 'latin1');
    return request;
  };
}

/** One message as gRPC sends it: a byte of flags, four of length, the message. */
export function grpcFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(5 + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}
