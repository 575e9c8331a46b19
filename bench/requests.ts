import { create, toBinary, toJsonString } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import {
  type GenerateRequest,
  GenerateRequestSchema,
  type ScoreRequest,
  ScoreRequestSchema,
} from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { newId } from '../platform/ids.ts';
import { people, personId } from './people.ts';

export const scorePath = '/oo.serving.v1.ServingService/Score';
export const generatePath = '/oo.serving.v1.ServingService/Generate';

export const protocols = ['grpc', 'connect', 'json'] as const;
/** gRPC and the Connect protocol in protobuf over HTTP/2; JSON over HTTP/1.1. */
export type Protocol = (typeof protocols)[number];

const titles = [
  'Call the dentist',
  'Write the quarterly report',
  'Renew the insurance',
  'Reply to Sam about the weekend',
  'Water the plants',
  'Book train tickets',
  'Fix the bicycle light',
];

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

/** Ten signals: seven tasks, two entries of the calendar, health. */
export function exampleGenerate(requestId: string, userId: string): GenerateRequest {
  const dayMs = 86_400_000;
  const inDays = (days: number) => timestampFromMs(Date.now() + days * dayMs);
  return create(GenerateRequestSchema, {
    requestId,
    userId,
    context: {
      timeZone: 'Europe/Amsterdam',
      signals: [
        ...titles.map((title, i) => ({
          id: `task-${i}`,
          detail: {
            case: 'task' as const,
            value: { title, isOverdue: i === 0, priority: 1 + (i % 4), dueAt: inDays(i) },
          },
        })),
        ...['Team meeting', 'Swimming with Noor'].map((title, i) => ({
          id: `event-${i}`,
          detail: { case: 'event' as const, value: { title, startsAt: inDays(0.5 + i), durationMinutes: 45 } },
        })),
        { id: 'health-0', detail: { case: 'health' as const, value: { steps: 4200, sleepMinutes: 410 } } },
      ],
    },
  });
}

/** What a language model may say of it: three tips that pass every check. */
export const exampleTips = JSON.stringify({
  tips: [
    { content: 'Ring the dentist before lunch', kind: 'task', rationale: 'It is overdue', signal_ids: ['task-0'] },
    {
      content: 'Start the quarterly report',
      kind: 'task',
      rationale: 'It needs a long stretch',
      signal_ids: ['task-1'],
    },
    {
      content: 'Take a short walk after the team meeting',
      kind: 'advice',
      rationale: 'Few steps',
      signal_ids: ['event-0'],
    },
  ],
});

const idPlace = '00000000-0000-7000-8000-000000000000';

/** The bytes of one Score each, with a request id of its own and a random person. Costs a copy of the bytes. */
export function requestSource(protocol: Protocol): () => Buffer {
  const example = exampleRequest(idPlace, personId(0));
  const bytes =
    protocol === 'json'
      ? Buffer.from(toJsonString(ScoreRequestSchema, example))
      : toBinary(ScoreRequestSchema, example);
  const template = protocol === 'grpc' ? grpcFrame(bytes) : Buffer.from(bytes);
  return copies(template, () => Math.floor(Math.random() * people));
}

/** The same of one Generate each, over gRPC; people take turns, so that no two calls at once are for the same one. */
export function generateSource(): () => Buffer {
  const template = grpcFrame(toBinary(GenerateRequestSchema, exampleGenerate(idPlace, personId(0))));
  let turn = 0;
  return copies(template, () => turn++ % people);
}

function copies(template: Buffer, nextPerson: () => number): () => Buffer {
  const idAt = template.indexOf(idPlace);
  const personAt = template.indexOf(personId(0));
  // The first 24 characters tell this source from all others, the last 12 count.
  template.write(newId(Date.now()).slice(0, 24), idAt, 'latin1');
  let sent = 0;
  return () => {
    const request = Buffer.from(template);
    request.write((++sent).toString(16).padStart(12, '0'), idAt + 24, 'latin1');
    request.write(personId(nextPerson()), personAt, 'latin1');
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
