import { describe, expect, it } from 'vitest';
import type { SeenLetter } from '../features/dead-letter-store.ts';
import type { StoredEvent } from '../features/event-store.ts';
import { type Bus, BusError, type Delivery } from '../platform/bus.ts';
import { createLog } from '../platform/log.ts';
import { type StoreBatchDeps, storeBatch } from './store-batch.ts';

interface World {
  /** What the bus does about a letter, each time it is asked. */
  readonly publish?: readonly (BusError | undefined)[];
  /** What the table of letters does, each time it is asked. */
  readonly put?: readonly (Error | undefined)[];
  readonly refusedEvents?: number;
}

/** Stores a batch of messages of one word each, good ones and others, and tells all that was done, in its order. */
async function stored(words: readonly string[], { publish = [], put = [], refusedEvents = 0 }: World = {}) {
  const steps: string[] = [];
  const letters: SeenLetter[] = [];
  const answers = { publish: [...publish], put: [...put] };
  const answer = (port: keyof typeof answers, step: string) => {
    const error = answers[port].shift();
    if (error) throw error;
    steps.push(step);
  };
  const deps: StoreBatchDeps = {
    bus: {
      publish: async (_: string, data: Uint8Array) => {
        answer('publish', `put ${Buffer.from(data)} aside`);
        return { sequence: 1, duplicate: false };
      },
    } as Partial<Bus> as Bus,
    eventStore: {
      store: async (events) => {
        steps.push(`stored ${events.map(({ eventId }) => eventId)}`);
        return { stored: events.length, refused: refusedEvents };
      },
    },
    deadLetterStore: {
      store: async (some) => {
        answer('put', `${some.map(({ data }) => Buffer.from(data))} is in the table alone`);
        letters.push(...some);
        return [];
      },
    },
    decode: ({ data }) => {
      const eventId = Buffer.from(data).toString();
      if (!eventId.startsWith('good')) return { kind: 'bad', reason: 'undecodable', error: 'broken' };
      return { kind: 'event', event: { eventId } as StoredEvent };
    },
    log: Object.assign(createLog({ name: 'test', level: 'silent', pretty: false }), {
      warn: ({ events }: { events?: number }, text: string) => events && steps.push(`${text}: ${events}`),
      error: (_: object, text: string) => steps.push(text),
    }),
    signal: new AbortController().signal,
    random: () => 0,
  };
  const batch = words.map(
    (word, i): Delivery => ({
      subject: 'signals.a',
      data: Buffer.from(word),
      headers: { 'Nats-Msg-Id': 'm', 'X-Own': 'x' },
      sequence: 7 + i,
      takenAtMs: 1_000,
      deliveries: 2,
      ack: () => steps.push(`${word} is done`),
      working() {},
      terminate: () => steps.push(`${word} is taken off`),
    }),
  );
  await storeBatch(deps, { stream: 'signals', name: 'd', ackWaitMs: 1, maxAckPending: 1 }, batch, () =>
    steps.push('room'),
  );
  return { steps, letters };
}

describe('a message of a batch', () => {
  it('is taken off its stream once it is stored or put aside, and no letter holds up the good ones', async () => {
    expect((await stored(['bad', 'good1', 'good2'])).steps).toEqual([
      ...['stored good1,good2', 'good1 is done', 'good2 is done', 'room'],
      ...['put bad aside', 'bad is taken off'],
    ]);
  });

  it('of a person who was erased is done with, and counted in the log', async () => {
    const { steps } = await stored(['good'], { refusedEvents: 1 });
    expect(steps).toEqual(['stored good', 'refused events of erased people: 1', 'good is done', 'room']);
  });
});

describe('a letter that cannot be put aside', () => {
  const away = new BusError('unavailable', 'away');
  const refused = new BusError('refused', 'too large');
  const sql = (code: string) => Object.assign(new Error(code), { code, severity: 'ERROR' });
  const next = ['put next aside', 'next is taken off'];

  it.each<[string, World, string[]]>([
    ['waits for a bus that is away', { publish: [away, away] }, ['put bad aside']],
    ['goes into the table, once, if the bus refuses it', { publish: [refused] }, ['bad is in the table alone']],
    [
      'waits for a table that is away',
      { publish: [refused], put: [sql('57P01'), sql('57P01')] },
      ['bad is in the table alone'],
    ],
    [
      'stays where it is, with a line in the log, if the table refuses it too',
      { publish: [refused], put: [sql('22021')] },
      ['a dead letter is in the stream of its event alone'],
    ],
  ])('%s, and holds up no other', async (_, world, steps) => {
    const done = await stored(['bad', 'next'], world);
    expect(done.steps).toEqual(['room', ...steps, 'bad is taken off', ...next]);
  });

  it('is what the stream would tell of it, seen when its own stream took it: the same when it is done again', async () => {
    const once = await stored(['bad'], { publish: [refused] });
    expect(once.letters).toEqual([
      {
        id: expect.any(String),
        stream: 'signals',
        streamSequence: 7,
        subject: 'signals.a',
        headers: { 'Nats-Msg-Id': 'm', 'X-Own': 'x' },
        data: Buffer.from('bad'),
        eventId: null,
        userId: null,
        reason: 'undecodable',
        error: 'broken',
        deliveries: 2,
        seenAtMs: 1_000,
        sequence: null,
      },
    ]);
    expect((await stored(['bad'], { publish: [refused] })).letters).toEqual(once.letters);
  });

  it('ends the work if no waiting can mend it', async () => {
    await expect(stored(['bad'], { publish: [refused], put: [sql('42P01')] })).rejects.toThrow('42P01');
  });
});
