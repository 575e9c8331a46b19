import { setTimeout as sleep } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { createContextValues } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import type { StoredLetter } from '../../../features/dead-letter-store.ts';
import {
  type ReplayDeadLettersRequest,
  ReplayDeadLettersRequestSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { BusError, type PublishOptions } from '../../../platform/bus.ts';
import { createReplayDeadLetters } from './replay-dead-letters.ts';

const letter = (id: number, change: Partial<StoredLetter> = {}): StoredLetter => ({
  id: `letter-${id}`,
  stream: 'signals',
  streamSequence: id,
  subject: 'signals.a',
  headers: { 'content-type': 'application/json', 'X-Own': 'x', 'Nats-Msg-Id': 'm' },
  data: new Uint8Array([id]),
  eventId: null,
  userId: null,
  reason: 'undecodable',
  error: '',
  deliveries: 1,
  firstSeenAtMs: 0,
  lastSeenAtMs: 0,
  replayedAtMs: null,
  ...change,
});

interface Published extends PublishOptions {
  readonly subject: string;
  readonly atMs: number;
}

/** Replays letters over a bus that refuses those for which `fails` has an error. */
async function replay(
  letters: readonly StoredLetter[],
  request: Partial<ReplayDeadLettersRequest> = {},
  {
    timeoutMs = 5_000,
    nowMs = 100,
    fails = (_: string): BusError | undefined => undefined,
    tookMs = 0,
    signal = new AbortController().signal,
  } = {},
) {
  const lines: unknown[] = [];
  const published: Published[] = [];
  const marked: [string, number][] = [];
  const handler = createReplayDeadLetters({
    deadLetterStore: {
      find: async (_, limit) => ({ matched: letters.length, ids: letters.slice(0, limit).map(({ id }) => id) }),
      read: async (ids) => letters.filter(({ id }) => ids.includes(id)),
      markReplayed: async (replays) => {
        marked.push(...replays.map(({ id, atMs }): [string, number] => [id, atMs]));
      },
    },
    bus: {
      publish: async (subject, _, options) => {
        if (tookMs > 0) await sleep(tookMs);
        const error = fails(options.id);
        if (error) throw error;
        published.push({ subject, ...options, atMs: performance.now() });
        return { sequence: 1, duplicate: false };
      },
    },
    clock: () => nowMs,
    log: { info: (line: unknown) => lines.push(line) },
  });
  const endsAt = performance.now() + timeoutMs;
  const context = {
    signal,
    timeoutMs: () => endsAt - performance.now(),
    values: createContextValues(),
  };
  const message = create(ReplayDeadLettersRequestSchema, { filter: {}, maxPerSecond: 10_000, ...request } as never);
  const outcome = await handler(message, context).then(
    (answer) => [Number(answer.matched), Number(answer.replayed)],
    (error: unknown) => error,
  );
  return { published, marked, outcome, lines };
}

const many = Array.from({ length: 200 }, (_, id) => letter(id));

describe('a replay', () => {
  it('publishes what was published, and says which letter it is', async () => {
    const { published, marked, outcome } = await replay([letter(7)]);
    expect(published).toEqual([
      {
        subject: 'signals.a',
        id: 'replay:letter-7:100',
        headers: { 'content-type': 'application/json', 'Oo-Dead-Letter': 'signals/7', 'Oo-Replayed-At': '100' },
        timeoutMs: expect.any(Number),
        atMs: expect.any(Number),
      },
    ]);
    expect(marked).toEqual([['letter-7', 100]]);
    expect(outcome).toEqual([1, 1]);
  });

  it('is later than all that is known of the letter, though the clock is behind', async () => {
    const { published, marked } = await replay([
      letter(1, { lastSeenAtMs: 500 }),
      letter(2, { lastSeenAtMs: 500, replayedAtMs: 900 }),
    ]);
    expect(marked).toEqual([
      ['letter-1', 500],
      ['letter-2', 901],
    ]);
    expect(published.map(({ id }) => id)).toEqual(['replay:letter-1:500', 'replay:letter-2:901']);
  });

  it('only counts in a dry run', async () => {
    expect(await replay(many, { dryRun: true })).toMatchObject({ published: [], marked: [], outcome: [200, 0] });
  });

  it.each([
    [50, 50],
    [300, 300],
    [0, 100], // not said
  ])('asked for %i publishes at most %i in any second', async (maxPerSecond, expected) => {
    const { published } = await replay(many, { maxPerSecond }, { timeoutMs: 2_400 });
    const times = published.map(({ atMs }) => atMs);
    const most = Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 990).length));
    expect(most).toBeLessThanOrEqual(expected);
    expect(times.length).toBeGreaterThan(expected === 300 ? 199 : 30);
  });

  it.each([
    ['a low rate', 20, 0],
    ['a slow bus', 10_000, 200],
  ])('ends before its deadline with what it has done: %s', async (_, maxPerSecond, tookMs) => {
    const startedAt = performance.now();
    const { outcome, marked } = await replay(many, { maxPerSecond }, { timeoutMs: 600, tookMs });
    expect(performance.now() - startedAt).toBeLessThan(600 + tookMs);
    expect(outcome).toEqual([200, marked.length]);
    expect(marked.length).toBeGreaterThan(0);
    expect(marked.length).toBeLessThan(200);
  });

  it('ends when the caller hangs up', async () => {
    const caller = new AbortController();
    const fails = (id: string) => {
      if (id.startsWith('replay:letter-3:')) caller.abort();
      return undefined;
    };
    const { outcome, marked } = await replay(many, { maxPerSecond: 20 }, { fails, signal: caller.signal });
    expect(outcome).toMatchObject({ name: 'AbortError' });
    expect(marked.map(([id]) => id)).toEqual(['letter-0', 'letter-1', 'letter-2', 'letter-3']);
  });

  it.each<[string, Partial<ReplayDeadLettersRequest>, BusError | undefined, object]>([
    ['was replayed', {}, undefined, { matched: 2, replayed: 2, refused: 0, dryRun: false }],
    ['was only counted', { dryRun: true }, undefined, { matched: 2, replayed: 0, refused: 0, dryRun: true }],
    ['failed', {}, new BusError('unavailable', 'gone'), { matched: 2, replayed: 0, refused: 0, dryRun: false }],
  ])('leaves a line in the log of what %s, and by whom', async (_, request, error, line) => {
    const { lines } = await replay([letter(1), letter(2)], request, { fails: () => error });
    expect(lines).toEqual([{ ...line, caller: expect.any(String) }]);
  });

  it('marks what the bus took before it went away, and nothing else', async () => {
    const fails = (id: string) =>
      id.startsWith('replay:letter-60:') ? new BusError('unavailable', 'gone') : undefined;
    const { outcome, marked } = await replay(many, {}, { fails });
    expect(outcome).toMatchObject({ code: 'unavailable', metadata: { matched: '200', replayed: '99', refused: '0' } });
    expect(marked.map(([id]) => id)).toEqual(
      many
        .slice(0, 100)
        .filter(({ id }) => id !== 'letter-60')
        .map(({ id }) => id),
    );
  });

  it.each(['nowhere.a', 'deadletters.signals', 'signals', 'signalsx.a'])(
    'leaves out %s, which no stream takes',
    async (subject) => {
      const { outcome, published } = await replay([letter(1, { subject }), letter(2)]);
      expect(outcome).toMatchObject({
        code: 'failed_precondition',
        metadata: { matched: '2', replayed: '1', refused: '1' },
      });
      expect(published).toHaveLength(1);
    },
  );
});
