import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { create, type MessageInitShape, toBinary, toJsonString } from '@bufbuild/protobuf';
import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import fc from 'fast-check';
import { connect as connectNats, headers as createHeaders, type StreamConfig } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { putAside } from '../consumers/dead-letters.ts';
import { createDeadLetterStore, type SeenLetter } from '../features/dead-letter-store.ts';
import { BadRequestSchema, ErrorInfoSchema } from '../gen/proto/google/rpc/error_details_pb.ts';
import { AdminService, type DeadLetter, type DeadLetterFilterSchema } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { namesOfDeadLetterReason } from '../gen/proto/oo/contract.ts';
import { DeadLetterReason } from '../gen/proto/oo/events/v1/dead_letter_pb.ts';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { namedId, newId } from '../platform/ids.ts';
import { streams } from '../platform/streams.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { createContext } from '../server/context.ts';
import { createServer } from '../server/create-server.ts';
import { parseAuthKeys } from '../server/interceptors/authenticate.ts';
import { createRoutes } from '../server/routes/index.ts';
import { type Loop, rowsOf, runTool, silent, startLoop } from './_util/loop.ts';
import { startNode } from './_util/node-process.ts';

let loop: Loop;
let admin: Client<typeof AdminService>;

const adminOf = (baseUrl: string, key?: string) =>
  createClient(
    AdminService,
    createGrpcTransport({
      baseUrl,
      defaultTimeoutMs: 5_000,
      interceptors: [
        (next) => (request) => {
          if (key) request.header.set('authorization', `Bearer ${key}`);
          return next(request);
        },
      ],
    }),
  );

beforeAll(async () => {
  loop = await startLoop();
  admin = adminOf(loop.baseUrl);
});
afterAll(() => loop[Symbol.asyncDispose]());

type Change = Partial<MessageInitShape<typeof EnvelopeSchema>>;

const event = (change: Change = {}) =>
  create(EnvelopeSchema, {
    eventId: newId(Date.now()),
    occurredAt: { seconds: BigInt(Math.floor(Date.now() / 1000)) },
    schemaVersion: 'v1',
    producer: 'test',
    userId: 'somebody',
    payload: { case: 'tipServed', value: { tipId: 't' } },
    ...change,
  } as MessageInitShape<typeof EnvelopeSchema>);
const encode = (change: Change = {}) => toBinary(EnvelopeSchema, event(change));

const publish = (subject: string, data: Uint8Array, headers: Record<string, string> = {}) =>
  loop.bus.publish(subject, data, { id: newId(Date.now()), timeoutMs: 2_000, headers });

/** Publishes bad events on a subject of their own, which tells them from those of other tests, and waits for them. */
async function bury(count: number, subject: string, change: Change = {}): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => publish(subject, encode(change))));
  await loop.drained();
}

type Filter = MessageInitShape<typeof DeadLetterFilterSchema>;

async function list(filter: Filter): Promise<DeadLetter[]> {
  return (await admin.listDeadLetters({ filter, page: { pageSize: 500 } })).deadLetters;
}

async function replay(filter: Filter, more: { dryRun?: boolean; maxPerSecond?: number } = {}): Promise<number[]> {
  const { matched, replayed } = await admin.replayDeadLetters({ filter, maxPerSecond: 10_000, ...more });
  await loop.drained();
  return [Number(matched), Number(replayed)];
}

async function failureOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(() => new ConnectError('answered', Code.Unknown), ConnectError.from);
}

const fieldsOf = (error: ConnectError): string[] =>
  error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field));

const tables = ['events', 'user_daily', 'user_hourly', 'tip_outcomes', 'tip_feedback'] as const;
const contents = () => Promise.all(tables.map((table) => rowsOf(loop.database, table, '1')));

describe('a dead letter', () => {
  const eventId = '0190A5D2-7b1c-8cc0-8a5e-2f1f6a5b3c1e';
  const cases: readonly {
    readonly reason: keyof typeof DeadLetterReason;
    readonly subject: string;
    readonly data: Uint8Array;
    readonly headers?: Record<string, string>;
    /** What the bytes tell of. */
    readonly event?: string;
    readonly user?: string;
  }[] = [
    { reason: 'UNDECODABLE', subject: 'signals.case.undecodable', data: Buffer.from([255, 255]) },
    {
      reason: 'WRONG_SUBJECT',
      subject: 'signals.case.wrong',
      data: encode({ eventId }),
      event: eventId,
      user: 'somebody',
    },
    {
      reason: 'UNSUPPORTED_VERSION',
      subject: 'signals.case.version',
      data: encode({ eventId, schemaVersion: 'v77' }),
      event: eventId,
      user: 'somebody',
    },
    { reason: 'RULE_VIOLATED', subject: 'feedback.case.empty', data: new Uint8Array() },
    {
      reason: 'RULE_VIOLATED',
      subject: 'feedback.case.ids',
      data: encode({ eventId: 'seven', userId: 'u'.repeat(5_000) }),
    },
    { reason: 'RULE_VIOLATED', subject: 'signals.case.nul', data: encode({ eventId, userId: 'a\0b' }), event: eventId },
    {
      reason: 'RULE_VIOLATED',
      subject: 'signals.case.json',
      data: Buffer.from(toJsonString(EnvelopeSchema, event({ eventId, userId: '' }))),
      headers: { 'Content-Type': 'application/json' },
      event: eventId,
    },
    {
      reason: 'ROW_REFUSED',
      subject: 'signals.tip.feedback',
      data: encode({ eventId, payload: { case: 'tipFeedback', value: { tipId: 'a\0b', reaction: 1 } } as never }),
      event: eventId,
      user: 'somebody',
    },
  ];

  it('has one of the reasons of the contract, and all of them are tested here', () => {
    const tested = new Set(cases.map(({ reason }) => reason.toLowerCase()));
    expect(tested).toEqual(new Set(Object.values(namesOfDeadLetterReason)));
  });

  it.each(cases)(
    '$reason on $subject is in the stream and in the table with all that was published',
    async ({ reason, subject, data, headers = {}, event: tellsEvent = '', user = null }) => {
      const before = await loop.messages('deadletters');
      const startedAt = Date.now();
      const { sequence } = await publish(subject, data, headers);
      await loop.drained();

      const inStream = await loop.bus.read('deadletters', before + 1);
      expect(Buffer.from(inStream.data).equals(data)).toBe(true);
      expect(inStream.headers).toMatchObject({ 'Oo-Reason': reason.toLowerCase(), 'Oo-Subject': subject });

      const [letter, ...others] = await list({ subject });
      expect(others).toEqual([]);
      expect(letter).toMatchObject({
        subject,
        streamSequence: BigInt(sequence),
        deliveries: 1,
        reason: DeadLetterReason[reason],
        error: inStream.headers['Oo-Error'],
        eventId: tellsEvent.toLowerCase(),
      });
      expect(Buffer.from(letter?.data ?? []).equals(data)).toBe(true);
      expect(letter?.headers['Content-Type']).toBe(headers['Content-Type']);
      expect(letter?.headers['Nats-Msg-Id']).toMatch(/^[0-9a-f-]{36}$/);
      expect(Object.keys(letter?.headers ?? {}).filter((name) => name.startsWith('Oo-'))).toEqual([]);
      expect(Number(letter?.firstSeenAt?.seconds) * 1000).toBeGreaterThan(startedAt - 2_000);
      expect(letter?.lastSeenAt).toEqual(letter?.firstSeenAt);
      expect(letter?.replayedAt).toBeUndefined();

      const [row] = (await rowsOf(loop.database, 'dead_letters', 'id')).filter((each) => each.subject === subject);
      expect(row).toMatchObject({
        user_id: user,
        sequences: [before + 1],
        stream: subject.split('.')[0],
      });
    },
  );

  it('keeps what is in a header, but for what Postgres has no way to write', async () => {
    await publish('signals.odd.header', new Uint8Array(), { 'X-Trace': 'a\0b', 'X-Name': 'é' });
    await loop.drained();
    expect((await list({ subject: 'signals.odd.header' }))[0]?.headers).toMatchObject({
      'X-Trace': 'a\ufffdb',
      'X-Name': 'é',
    });
  });

  it('keeps all values of a header that has several', async () => {
    const connection = await connectNats({ servers: loop.nats.url });
    const headers = createHeaders();
    for (const value of ['one', 'two']) headers.append('X-Tag', value);
    await connection.jetstream().publish('signals.several.values', new Uint8Array(), { headers });
    await connection.close();
    await loop.drained();
    expect((await list({ subject: 'signals.several.values' }))[0]?.headers).toEqual({ 'X-Tag': 'one, two' });
  });

  it('that nobody put aside, and one that the table refuses, stay in the stream and hold up nobody', async () => {
    await loop.database.query(
      "ALTER TABLE dead_letters ADD CONSTRAINT picky CHECK (subject <> 'signals.refused.letter')",
    );
    await publish('deadletters.stranger', Buffer.from('hello'));
    await publish('deadletters.signals', Buffer.from('hello'), {
      'Oo-Reason': 'undecodable',
      'Oo-Subject': 'x',
      'Oo-Stream-Sequence': '-1',
    });
    await bury(1, 'signals.refused.letter');
    await bury(1, 'signals.after.them');
    expect(await list({ subject: 'signals.after.them' })).toHaveLength(1);
    expect(await list({ subject: 'signals.refused.letter' })).toEqual([]);
    await loop.database.query('ALTER TABLE dead_letters DROP CONSTRAINT picky');
  });

  /** A stream as it was before it had this limit. */
  async function limit(stream: string, change: Partial<StreamConfig>): Promise<void> {
    const connection = await connectNats({ servers: loop.nats.url });
    await (await connection.jetstreamManager()).streams.update(stream, change);
    await connection.close();
  }

  /** Larger than a message may be, once it says why it was put aside. */
  const tooLarge = (userId: string) => {
    const headers = { 'X-Own': 'x'.repeat(2_000) };
    return { headers, data: encode({ userId, producer: 'p'.repeat(1_048_576 - 2_000 - 300) }) };
  };

  it('of an event as large as its stream takes is put aside like any other; a larger event is refused', async () => {
    const { maxMessageBytes } = streams.signals;
    const subject = 'signals.as.large';
    const before = await loop.messages('deadletters');
    await publish(subject, Buffer.alloc(maxMessageBytes - 100));
    const larger = publish(subject, Buffer.alloc(maxMessageBytes));
    await expect(larger).rejects.toMatchObject({ name: 'BusError', kind: 'refused' });
    await loop.drained();
    expect(await list({ subject })).toHaveLength(1);
    expect(await loop.messages('deadletters')).toBe(before + 1);
  });

  it('that is too large for its stream is in the table alone, can be replayed and erased, and holds up nobody', async () => {
    const subject = 'signals.too.large';
    const rows = async () =>
      (await rowsOf(loop.database, 'dead_letters', 'id')).filter((row) => row.subject === subject);
    await limit('signals', { max_msg_size: -1 });
    const { headers, data } = tooLarge('somebody large');
    const before = await loop.messages('deadletters');
    const [{ sequence }] = await Promise.all([publish(subject, data, headers), bury(1, 'signals.after.large')]);
    await loop.drained();
    expect(await list({ subject: 'signals.after.large' })).toHaveLength(1);
    expect(await loop.messages('deadletters')).toBe(before + 1); // that one
    const [letter, ...others] = await list({ subject });
    expect(others).toEqual([]);
    expect(letter).toMatchObject({
      streamSequence: BigInt(sequence),
      deliveries: 1,
      reason: DeadLetterReason.RULE_VIOLATED,
      headers: { ...headers, 'Nats-Msg-Id': expect.any(String) },
    });
    expect(letter?.error).not.toBe('');
    expect(Buffer.from(letter?.data ?? []).equals(data)).toBe(true);
    expect(await rows()).toMatchObject([{ stream: 'signals', user_id: 'somebody large', sequences: [] }]);

    expect(await replay({ subject })).toEqual([1, 1]); // smaller now, without the headers
    expect(await list({ subject })).toMatchObject([
      { id: letter?.id, headers: letter?.headers, firstSeenAt: letter?.firstSeenAt },
    ]);
    expect(await rows()).toMatchObject([{ sequences: [before + 2] }]);

    await admin.eraseUser({ userId: 'somebody large', reason: 'asked' });
    await publish(subject, data, headers);
    await loop.drained();
    expect(await rows()).toEqual([]);
    expect(await loop.messages('deadletters')).toBe(before + 1);
    await limit('signals', { max_msg_size: streams.signals.maxMessageBytes });
  });

  it('that neither its stream nor the table takes stays in the stream of its event, and holds up nobody', async () => {
    const subject = 'signals.refused.large';
    await loop.database.query(`ALTER TABLE dead_letters ADD CONSTRAINT picky CHECK (subject <> '${subject}')`);
    await limit('signals', { max_msg_size: -1 });
    const { headers, data } = tooLarge('somebody');
    const { sequence } = await publish(subject, data, headers);
    await bury(1, 'signals.after.refused');
    expect(await list({ subject: 'signals.after.refused' })).toHaveLength(1);
    expect(await list({ subject })).toEqual([]);
    expect(Buffer.from((await loop.bus.read('signals', sequence)).data).equals(data)).toBe(true);
    await limit('signals', { max_msg_size: streams.signals.maxMessageBytes });
    await loop.database.query('ALTER TABLE dead_letters DROP CONSTRAINT picky');
  });

  it.each(['X Y: v', 'X: a\nb', 'X: a\rb', 'Xé: v', ': v', 'no colon'])(
    'with headers that no library reads, such as %j, holds up nobody',
    async (line) => {
      const headers = Buffer.from(`NATS/1.0\r\n${line}\r\n\r\n`);
      const before = await loop.messages('deadletters');
      const socket = connect(loop.nats.port, '127.0.0.1');
      socket.write('CONNECT {"verbose":false,"headers":true}\r\n');
      for (const body of ['', 'hi']) {
        const sizes = `${headers.length} ${headers.length + body.length}`;
        socket.write(`HPUB signals.bad.headers ${sizes}\r\n${headers}${body}\r\n`);
      }
      await waitFor('both', async () => (await loop.messages('deadletters')) === before + 2, 10_000);
      socket.destroy();
      await loop.drained();
      const [one, other] = await list({ subject: 'signals.bad.headers' });
      const bodies = [one, other].map((letter) => Buffer.from(letter?.data ?? [255]).toString());
      expect(bodies.toSorted()).toEqual(['', 'hi']);
    },
  );

  it('of a person who was erased does not come into the table', async () => {
    const { rows } = await loop.database.query(
      "INSERT INTO erasures (user_hash, reason, rows_removed) SELECT sha256(salt || 'gone'), 'test', 0 FROM erasure_salt RETURNING user_hash",
    );
    expect(rows).toHaveLength(1);
    await bury(1, 'signals.of.gone', { userId: 'gone' });
    await bury(1, 'signals.of.others', { userId: 'others' });
    expect(await list({ subject: 'signals.of.gone' })).toEqual([]);
    expect(await list({ subject: 'signals.of.others' })).toHaveLength(1);
  });

  it('adds up to the same, whatever the order, the batches and the repeats of what is said about it', async () => {
    const store = createDeadLetterStore(loop.database);
    const all = Array.from({ length: 12 }, (_, sequence) => said(sequence % 3, sequence));
    const batches = fc.array(fc.array(fc.constantFrom(...all), { minLength: 1, maxLength: 8 }), { maxLength: 6 });
    const rows = async () =>
      (await rowsOf(loop.database, 'dead_letters', 'id')).filter(({ subject }) => /adds\.up/.test(String(subject)));
    const forget = () => loop.database.query("DELETE FROM dead_letters WHERE subject LIKE 'signals.adds.up%'");
    await store.store(all);
    const expected = await rows();
    expect(expected.map(({ sequences }) => sequences)).toContainEqual([0, 3, 6, 9]);
    await fc.assert(
      fc.asyncProperty(batches, fc.shuffledSubarray(all, { minLength: all.length }), async (some, rest) => {
        await forget();
        for (const batch of [...some, rest.slice(0, 5), rest.slice(5)]) await store.store(batch);
        expect(await rows()).toEqual(expected);
      }),
      { numRuns: 30 },
    );
    await forget();
  });

  it('is stored and marked at the same time without a deadlock', async () => {
    const store = createDeadLetterStore(loop.database);
    const letters = Array.from({ length: 100 }, (_, i) => said(i, i));
    await store.store(letters);
    const replays = letters.map(({ id }) => ({ id, atMs: 1 }));
    const work = Array.from({ length: 40 }, (_, i) => {
      if (i % 2) return store.store(letters);
      return store.markReplayed(i % 4 ? replays : replays.toReversed());
    });
    expect((await Promise.allSettled(work)).filter(({ status }) => status === 'rejected')).toEqual([]);
    await loop.database.query("DELETE FROM dead_letters WHERE subject LIKE 'signals.adds.up%'");
  });

  it.each([
    ['before it was last seen', [-1], 1],
    ['when it was last seen', [0], 0],
    ['after it was last seen', [1], 0],
    ['after it was last seen, though what comes in last says otherwise', [1, -1], 0],
  ])('that was replayed %s matches as often as it waits for one', async (_, replays, matched) => {
    const store = createDeadLetterStore(loop.database);
    const letter = { ...said(1, 1), subject: 'signals.marked' };
    await store.store([letter]);
    for (const ms of replays) await store.markReplayed([{ id: letter.id, atMs: letter.seenAtMs + ms }]);
    expect(await store.find({ subject: letter.subject, includeReplayed: false }, 0)).toMatchObject({ matched });
    expect(await store.find({ subject: letter.subject, includeReplayed: true }, 0)).toMatchObject({ matched: 1 });
    await loop.database.query('DELETE FROM dead_letters WHERE id = $1', [letter.id]);
  });

  it('that was put aside twice is one row, whichever message about it comes first', async () => {
    const data = encode({ schemaVersion: 'v77' });
    for (const [name, deliveries] of [
      ['first', 1],
      ['again', 2],
    ] as const) {
      const delivery = {
        subject: 'signals.put.twice',
        data,
        headers: {},
        sequence: 900_000,
        takenAtMs: 0,
        deliveries,
        ack() {},
        working() {},
        terminate() {},
      };
      await putAside(loop.bus, { stream: 'signals', name }, { delivery, reason: 'undecodable', error: name });
      await loop.drained();
    }
    const [row, ...others] = (await rowsOf(loop.database, 'dead_letters', 'id')).filter(
      (each) => each.subject === 'signals.put.twice',
    );
    expect(others).toEqual([]);
    expect(row).toMatchObject({ deliveries: 2, error: 'again' });
    expect(row?.sequences).toHaveLength(2);
  });
});

/** A message about one of a few letters. */
const said = (letter: number, sequence: number): SeenLetter => ({
  id: namedId(`adds up ${letter}`),
  stream: 'signals',
  streamSequence: letter,
  subject: `signals.adds.up${letter}`,
  headers: { 'X-Sequence': String(sequence) },
  data: Buffer.from([letter]),
  eventId: namedId(`event ${sequence}`),
  userId: `adds up ${sequence}`,
  reason: sequence % 2 ? 'undecodable' : 'rule_violated',
  error: `error ${sequence}`,
  deliveries: sequence,
  seenAtMs: 1_700_000_000_000 + sequence,
  sequence,
});

describe('the list', () => {
  it('comes in pages, the last seen first, each letter once', async () => {
    const subject = 'signals.many.pages';
    for (let i = 0; i < 7; i++) await bury(1, subject);
    const all = await list({ subject });
    const pages: DeadLetter[][] = [];
    let pageToken = '';
    do {
      const page = { pageSize: 3, pageToken };
      const [{ deadLetters, nextPageToken }, again] = await Promise.all([
        admin.listDeadLetters({ filter: { subject }, page }),
        admin.listDeadLetters({ filter: { subject }, page }),
      ]);
      expect(again.nextPageToken).toBe(nextPageToken);
      pages.push(deadLetters);
      pageToken = nextPageToken;
    } while (pageToken !== '');
    expect(pages.map(({ length }) => length)).toEqual([3, 3, 1]);
    expect(pages.flat().map(({ id }) => id)).toEqual(all.map(({ id }) => id));
    const sequences = all.map(({ streamSequence }) => Number(streamSequence));
    expect(sequences).toEqual(sequences.toSorted((a, b) => b - a));
  });

  it('comes in pages also where letters were seen in the same millisecond', async () => {
    const subject = 'signals.same.time';
    const letters = Array.from({ length: 5 }, (_, i) => ({
      ...said(100 + i, i),
      subject,
      seenAtMs: 1_700_000_000_000,
    }));
    await createDeadLetterStore(loop.database).store(letters);
    const ids: string[] = [];
    let pageToken = '';
    do {
      const answer = await admin.listDeadLetters({ filter: { subject }, page: { pageSize: 2, pageToken } });
      ids.push(...answer.deadLetters.map(({ id }) => id));
      pageToken = answer.nextPageToken;
    } while (pageToken !== '');
    expect(ids.toSorted()).toEqual(letters.map(({ id }) => id).toSorted());
    await loop.database.query('DELETE FROM dead_letters WHERE subject = $1', [subject]);
  });

  it('ends a page before it is larger than a response may be', async () => {
    const subject = 'signals.large.letters';
    for (let i = 0; i < 6; i++) await publish(subject, Buffer.alloc(450_000, i));
    await loop.drained();
    const response = await fetch(`${loop.baseUrl}/oo.admin.v1.AdminService/ListDeadLetters`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ filter: { subject } }),
    });
    const first = (await response.json()) as { deadLetters: unknown[]; nextPageToken: string };
    expect(first.deadLetters).toHaveLength(4);
    const second = await admin.listDeadLetters({ filter: { subject }, page: { pageToken: first.nextPageToken } });
    expect(second.deadLetters).toHaveLength(2);
    expect(second.nextPageToken).toBe('');
  });

  it('is narrowed down by reason, subject and time', async () => {
    const subject = 'signals.narrowed.down';
    await publish(subject, Buffer.from([255]));
    await loop.drained();
    await bury(1, subject);
    const [newer, older] = await list({ subject });
    const { UNDECODABLE, WRONG_SUBJECT, ROW_REFUSED } = DeadLetterReason;
    const at = newer?.lastSeenAt;
    const count = async (filter: Filter) => (await list({ subject, ...filter })).length;
    expect(await count({ reasons: [UNDECODABLE] })).toBe(1);
    expect(await count({ reasons: [UNDECODABLE, WRONG_SUBJECT] })).toBe(2);
    expect(await count({ reasons: [ROW_REFUSED] })).toBe(0);
    expect(await count({ subject: 'signals.narrowed' })).toBe(0);
    expect(await count({ seenFrom: at })).toBe(1);
    expect(await count({ seenFrom: older?.lastSeenAt })).toBe(2);
    expect(await count({ seenBefore: at })).toBe(1);
    expect(await count({ seenFrom: { seconds: (at?.seconds ?? 0n) + 1n } })).toBe(0);
    expect(await count({ seenBefore: { seconds: (at?.seconds ?? 0n) + 1n } })).toBe(2);
    expect(await count({ seenBefore: { seconds: (at?.seconds ?? 0n) - 60n } })).toBe(0);
  });

  it.each<[string, Parameters<typeof admin.listDeadLetters>[0], string[]]>([
    ['a page token that nobody gave out', { page: { pageToken: 'next' } }, ['page.page_token']],
    [
      'a page token with something behind it',
      { page: { pageToken: `${Buffer.from(`1/${newId(0)}`).toString('base64url')}=` } },
      ['page.page_token'],
    ],
    ['an over-long page token', { page: { pageToken: 'x'.repeat(513) } }, ['page.page_token']],
    ['a page of 501', { page: { pageSize: 501 } }, ['page.page_size']],
    ['reasons that are none', { filter: { reasons: [1, 99 as never, 0] } }, ['filter.reasons[1]', 'filter.reasons[2]']],
    ['NUL in the subject', { filter: { subject: 'a\0' } }, ['filter.subject']],
    [
      'times out of range',
      { filter: { seenFrom: { seconds: -99_999_999_999_999n }, seenBefore: { seconds: 9n * 10n ** 17n } } },
      ['filter.seen_from', 'filter.seen_before'],
    ],
  ])('refuses %s', async (_, request, fields) => {
    const error = await failureOf(admin.listDeadLetters(request));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(fieldsOf(error)).toEqual(fields);
  });
});

describe('a replay', () => {
  const subject = 'signals.tip.served';
  const refused = { subject, reasons: [DeadLetterReason.ROW_REFUSED] };

  it('stores what is now accepted, once, under its event id; all over again changes nothing', async () => {
    await loop.database.query("ALTER TABLE tip_outcomes ADD CONSTRAINT not_now CHECK (user_id <> 'fixed-later')");
    const events = Array.from({ length: 5 }, (_, i) =>
      event({ userId: 'fixed-later', payload: { case: 'tipServed', value: { tipId: `t${i}` } } as never }),
    );
    for (const [i, each] of events.entries()) {
      if (i % 2) await publish(subject, toBinary(EnvelopeSchema, each));
      else
        await publish(subject, Buffer.from(toJsonString(EnvelopeSchema, each)), { 'content-type': 'application/json' });
    }
    await loop.drained();
    const before = await list(refused);
    expect(before.map(({ eventId }) => eventId).toSorted()).toEqual(events.map(({ eventId }) => eventId).toSorted());

    expect(await replay(refused, { dryRun: true })).toEqual([5, 0]);
    expect(await list(refused)).toEqual(before);

    expect(await replay(refused)).toEqual([5, 5]); // the cause is still there
    const still = await list(refused);
    expect(still.map(({ id }) => id).toSorted()).toEqual(before.map(({ id }) => id).toSorted());
    for (const { id, firstSeenAt, lastSeenAt, replayedAt, headers, data } of still) {
      const first = before.find((each) => each.id === id);
      expect({ firstSeenAt, headers, data }).toEqual({
        firstSeenAt: first?.firstSeenAt,
        headers: first?.headers,
        data: first?.data,
      });
      expect(Number(lastSeenAt?.seconds) * 1e9 + Number(lastSeenAt?.nanos)).toBeGreaterThan(
        Number(replayedAt?.seconds) * 1e9 + Number(replayedAt?.nanos),
      );
    }
    const rows = (await rowsOf(loop.database, 'dead_letters', 'id')).filter((row) => row.user_id === 'fixed-later');
    expect(rows.map(({ sequences }) => (sequences as number[]).length)).toEqual([2, 2, 2, 2, 2]);

    await loop.database.query('ALTER TABLE tip_outcomes DROP CONSTRAINT not_now');
    expect(await replay(refused)).toEqual([5, 5]);
    const stored = await contents();
    const [daily] = (await rowsOf(loop.database, 'user_daily', 'day')).filter(
      ({ user_id }) => user_id === 'fixed-later',
    );
    expect(daily).toMatchObject({ served: 5 });
    expect(await list(refused)).toEqual([]);
    expect(await replay(refused)).toEqual([0, 0]);

    expect(await list({ ...refused, includeReplayed: true })).toHaveLength(5);
    const lettersBefore = await loop.messages('deadletters');
    expect(await replay({ ...refused, includeReplayed: true })).toEqual([5, 5]);
    expect(await replay({ ...refused, includeReplayed: true })).toEqual([5, 5]);
    expect(await contents()).toEqual(stored);
    expect(await loop.messages('deadletters')).toBe(lettersBefore);
  });

  it('really publishes: the stream does not take it for a repeat of the first time', async () => {
    const filter = { subject: 'signals.not.swallowed' };
    await bury(1, filter.subject);
    for (let times = 1; times <= 3; times++) {
      const before = (await loop.bus.inspect('signals')).lastSequence;
      expect(await replay(filter)).toEqual([1, 1]);
      expect((await loop.bus.inspect('signals')).lastSequence).toBe(before + 1);
    }
    expect(await list(filter)).toHaveLength(1);
  });

  it('is no faster than asked', async () => {
    const filter = { subject: 'signals.slowly.please' };
    await bury(12, filter.subject);
    const startedAt = performance.now();
    expect(await replay(filter, { maxPerSecond: 10 })).toEqual([12, 12]);
    expect(performance.now() - startedAt).toBeGreaterThan(1_000);
  });

  it('stops in time for its answer, and the next one goes on from there', async () => {
    const filter = { subject: 'signals.too.many' };
    await bury(30, filter.subject);
    // Good by now: a letter that fails again would match again.
    await loop.database.query("UPDATE dead_letters SET subject = 'signals.tip.served', data = $1 WHERE subject = $2", [
      encode(),
      filter.subject,
    ]);
    const good = { subject: 'signals.tip.served' };
    const total = (await list(good)).length;
    const first = await admin.replayDeadLetters({ filter: good, maxPerSecond: 20 }, { timeoutMs: 1_200 });
    expect(Number(first.matched)).toBe(total);
    expect(Number(first.replayed)).toBeGreaterThan(5);
    expect(Number(first.replayed)).toBeLessThan(total);
    const left = total - Number(first.replayed);
    expect(await replay(good)).toEqual([left, left]);

    // Also where those that were replayed match: they come last.
    const from = new Date();
    const again = { filter: { ...good, includeReplayed: true }, maxPerSecond: 20 };
    const one = await admin.replayDeadLetters(again, { timeoutMs: 1_200 });
    const two = await admin.replayDeadLetters(again, { timeoutMs: 1_200 });
    const { rowCount } = await loop.database.query(
      'SELECT FROM dead_letters WHERE subject = $1 AND replayed_at >= $2',
      [good.subject, from],
    );
    expect(rowCount).toBe(Math.min(Number(one.matched), Number(one.replayed) + Number(two.replayed)));
    await loop.drained();
  });

  it('goes through where one subject belongs to no stream, and says so', async () => {
    const filter = { reasons: [DeadLetterReason.WRONG_SUBJECT], subject: '' };
    await bury(2, 'signals.one.lost');
    await loop.database.query(
      "UPDATE dead_letters SET subject = 'nowhere.at.all' WHERE id = (SELECT id FROM dead_letters WHERE subject = 'signals.one.lost' LIMIT 1)",
    );
    const [matched] = await replay(filter, { dryRun: true });
    const startedAt = performance.now();
    const error = await failureOf(admin.replayDeadLetters({ filter, maxPerSecond: 10_000 }));
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.findDetails(ErrorInfoSchema)[0]).toMatchObject({
      reason: 'LETTERS_REFUSED',
      metadata: { matched: String(matched), replayed: String(Number(matched) - 1), refused: '1' },
    });
    await loop.drained();
    await loop.database.query("DELETE FROM dead_letters WHERE subject = 'nowhere.at.all'");
  });

  it('needs a filter, if an empty one', async () => {
    const error = await failureOf(admin.replayDeadLetters({}));
    expect([error.code, fieldsOf(error)]).toEqual([Code.InvalidArgument, ['filter']]);
  });

  it('is told that the bus is away', async () => {
    const filter = { subject: 'signals.bus.away' };
    await bury(1, filter.subject);
    loop.nats.pause();
    const error = await failureOf(admin.replayDeadLetters({ filter })).finally(() => loop.nats.resume());
    expect(error.code).toBe(Code.Unavailable);
    await loop.drained();
    expect(await list(filter)).toHaveLength(1);
  });
});

describe('the admin service', () => {
  it.each([
    ['a reason that is none', { filter: { reasons: ['DEAD_LETTER_REASON_UNDECODABEL'] } }, 'UNDECODABEL'],
    ['a field of the filter that is none', { filter: { subjct: 'signals.by.hand' } }, 'subjct'],
    ['a dry run that is none', { filter: { subject: 'signals.by.hand' }, dryrun: true }, 'dryrun'],
    ['a negative rate', { filter: { subject: 'signals.by.hand' }, maxPerSecond: -1 }, 'max_per_second'],
  ])('refuses JSON with %s, and replays nothing', async (_, request, named) => {
    await bury(1, 'signals.by.hand');
    const before = await loop.messages('signals');
    const response = await fetch(`${loop.baseUrl}/oo.admin.v1.AdminService/ReplayDeadLetters`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    expect([response.status, await response.json()]).toEqual([
      400,
      { code: 'invalid_argument', message: expect.stringContaining(named) },
    ]);
    expect(await loop.messages('signals')).toBe(before);
  });

  it('is called by buf, which needs no proto files', async () => {
    await bury(2, 'signals.by.buf');
    const call = (method: string, request: object) =>
      runTool(
        'buf',
        ...['curl', '--http2-prior-knowledge', '--protocol', 'grpc', '-d', JSON.stringify(request)],
        `${loop.baseUrl}/oo.admin.v1.AdminService/${method}`,
      ).then((text) => JSON.parse(text));
    const filter = { subject: 'signals.by.buf', reasons: ['DEAD_LETTER_REASON_WRONG_SUBJECT'] };
    const { deadLetters } = await call('ListDeadLetters', { filter, page: { pageSize: 10 } });
    expect(deadLetters).toMatchObject([{ reason: filter.reasons[0] }, { reason: filter.reasons[0] }]);
    expect(await call('ReplayDeadLetters', { filter, maxPerSecond: 500, dryRun: true })).toEqual({ matched: '2' });
  });

  it('is for those with the permission', async () => {
    const key = (name: string, permission: string) =>
      `${name} ${createHash('sha256').update(name).digest('hex')} ${permission}`;
    const context = await createContext(
      { policy: 'egreedy-v2', promptVersion: 'v1', llm: undefined, feast: undefined },
      { database: loop.database, bus: loop.bus, log: silent },
    );
    const authKeys = parseAuthKeys(`${key('recommender', 'serve')}\n${key('operator', 'admin')}`);
    const server = createServer({ routes: createRoutes(context), authKeys, log: silent });
    const { url } = await server.listen({ port: 0, host: '127.0.0.1' });
    try {
      for (const [name, code] of [
        ['recommender', Code.PermissionDenied],
        ['stranger', Code.Unauthenticated],
        ['', Code.Unauthenticated],
      ] as const) {
        const client = adminOf(url, name);
        expect((await failureOf(client.listDeadLetters({}))).code).toBe(code);
        expect((await failureOf(client.replayDeadLetters({ filter: {} }))).code).toBe(code);
      }
      expect((await adminOf(url, 'operator').listDeadLetters({})).deadLetters.length).toBeGreaterThan(0);
    } finally {
      await server.drain(500);
    }
  });
});

describe('killing the consumers over and over', () => {
  it('leaves one row for every letter', { timeout: 120_000 }, async () => {
    await using own = await startLoop({ consume: false });
    const env = {
      PATH: process.env.PATH,
      DATABASE_URL: own.databaseUrl,
      NATS_URL: own.nats.url,
      LOG_LEVEL: 'error',
      ACK_WAIT_MS: '2000',
    };
    const count = 2_000;
    const publishing = Promise.all(
      Array.from({ length: count }, (_, i) =>
        own.bus.publish('signals.bad.one', Buffer.from([255, i % 256]), { id: newId(Date.now()), timeoutMs: 20_000 }),
      ),
    );
    for (let i = 0; i < 4; i++) {
      const consumers = startNode('consumers/main.ts', env);
      await waitFor('some letters', async () => (await own.messages('deadletters')) > (i + 1) * 300);
      await consumers.kill();
    }
    const sequences = (await publishing).map(({ sequence }) => sequence);
    const consumers = startNode('consumers/main.ts', env);
    await own.drained();
    await consumers.kill();
    const rows = await rowsOf(own.database, 'dead_letters', 'stream_sequence');
    expect(rows.map((row) => row.stream_sequence)).toEqual(sequences.toSorted((a, b) => a - b));
  });
});
