// What another policy would have earned on our own decisions: from the stored events, and from a file they were written to.

import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { uniform } from '../experiments/draw.ts';
import { add, contributionOf, type Statistics } from '../experiments/linear-model.ts';
import type { Report } from '../experiments/off-policy/evaluate.ts';
import { policies } from '../experiments/policies/index.ts';
import { linThompson } from '../experiments/policies/lin-thompson.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { random } from '../experiments/policies/random.ts';
import { squareCb } from '../experiments/policies/square-cb.ts';
import { nothingLearnt } from '../experiments/statistics.ts';
import { createEventStore } from '../features/event-store.ts';
import { toTimestamp } from '../features/time.ts';
import { type Vector, vectorNames } from '../features/vector.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { type Envelope, EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { type CandidatesLine, type Format, readBanditLog } from '../pipelines/bandit-log.ts';
import { type DecisionLog, type OwnDecision, withDecisionLog } from '../pipelines/decision-log.ts';
import { evaluateLog, probabilitiesOf } from '../pipelines/off-policy.ts';
import { writeBanditLog } from '../pipelines/write-bandit-log.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { newId } from '../platform/ids.ts';
import { collect } from './_util/bandit-logs.ts';
import { decided, decisionBy, keepPopulation } from './_util/decisions.ts';
import { startNode } from './_util/node-process.ts';
import { createTestDatabase, type TestDatabase } from './_util/servers.ts';
import { storePatiently } from './_util/tables.ts';

let testDatabase: TestDatabase;
let database: Database;
let folder: string;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase({ url: testDatabase.url, applicationName: 'test', maxConnections: 4 });
  folder = await mkdtemp(join(tmpdir(), 'off-policy-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await database.end();
  await testDatabase.drop();
});
beforeEach(() => database.query('TRUNCATE events, event_ids, tip_scores, tip_outcomes, policy_population'));

const atMs = Date.UTC(2026, 5, 1);

function createChance(seed: bigint) {
  let counter = 0;
  const next = () => uniform(seed, counter++);
  const vector = (): Vector => vectorNames.map(() => Math.floor(8193 * next()) - 4096);
  const vectors = (count: number) => Array.from({ length: count }, vector);
  const learnt = (count: number): Statistics =>
    vectors(count)
      .map((each) => contributionOf(each, Math.round(2000 * next()) - 1000) ?? nothingLearnt)
      .reduce(add, nothingLearnt);
  return { next, vectors, learnt };
}

const reaction = (
  userId: string,
  { eventId: decisionId, payload }: Envelope,
  kind: Reaction,
  dwellMs?: bigint,
): Envelope =>
  create(EnvelopeSchema, {
    ...{ eventId: newId(atMs), userId, schemaVersion: 'v1', producer: 'test', occurredAt: toTimestamp(atMs + 60_000) },
    payload: {
      case: 'tipFeedback',
      value: {
        tipId: payload.case === 'tipScored' ? payload.value.tipId : '',
        decisionId,
        reaction: kind,
        ...(dwellMs && { dwellMs }),
      },
    },
  });

const store = (events: readonly Envelope[]) => storePatiently(createEventStore(database), events);

/** Decisions of one policy about some people, who do something about most; they and everybody had taught it something. */
async function live(policy: Policy, { people = 12, each = 5, seed = 1n } = {}): Promise<void> {
  const { next, vectors, learnt } = createChance(seed);
  const populations = await Promise.all(
    [30, 80].map(async (count) => {
      const population = learnt(count);
      return { population, populationId: await keepPopulation(database, population) };
    }),
  );
  const events: Envelope[] = [];
  for (let i = 0; i < people * each; i++) {
    const userId = `${policy.name}/${i % people}`;
    const { population, populationId } = populations[i % 2] ?? { population: nothingLearnt, populationId: '' };
    const person = i % 3 === 0 ? nothingLearnt : learnt(i % 7);
    const scored = decisionBy(policy, { vectors: vectors(2 + (i % 3)), learnt: { person, population }, populationId });
    const event = decided(userId, atMs + i, scored);
    events.push(event);
    const kind = [Reaction.HELPFUL, Reaction.DISMISS, Reaction.SNOOZE][Math.floor(next() * 4)];
    if (kind !== undefined) events.push(reaction(userId, event, kind));
  }
  await store(events);
}

const evaluateOwn = (policy: Policy): Promise<Report> =>
  withDecisionLog(database, policy, (log) => evaluateLog(() => log.read(), { policy }));

async function written(format: Format, policy?: Policy): Promise<string> {
  return withDecisionLog(database, policy, async (log) => {
    async function* decisions() {
      for await (const each of log.read())
        yield { ...each, ...(policy && { targetProbabilities: probabilitiesOf(policy, each) }) };
    }
    return (await collect(writeBanditLog(decisions(), format))).join('');
  });
}

async function* bytesOf(text: string) {
  yield new TextEncoder().encode(text);
}
const readBack = (text: string, format: Format) => readBanditLog(bytesOf(text), format);
const lines = (policy?: Policy, log: (log: DecisionLog) => void = () => {}) =>
  withDecisionLog(database, policy, async (own) => {
    const all = await collect(own.read());
    log(own);
    return all;
  });

describe('a policy on its own decisions', () => {
  it.each([...policies.values()])('$name would have done just what it did', async (policy) => {
    await live(policy);
    const all = await lines(policy);
    expect(all).toHaveLength(60);
    for (const line of all) expect(probabilitiesOf(policy, line)).toEqual(line.propensities);
    const { spread, estimates, logged } = await evaluateOwn(policy);
    expect(spread).toMatchObject({ rows: 60, people: 12, meanWeight: 1, maxWeight: 1 });
    for (const { name, value, gain } of estimates.filter((each) => /^S?N?IPS$/.test(each.name)))
      expect([name, value, gain.value]).toEqual([name, logged.value, 0]);
  });

  it('would do something else for other requests, and knowing something else', async () => {
    await live(linThompson);
    const all = await lines(linThompson);
    const differing = (change: (line: OwnDecision) => CandidatesLine) =>
      all.filter((line) => String(probabilitiesOf(linThompson, change(line))) !== String(line.propensities)).length;
    expect(differing((line) => line)).toBe(0);
    expect(differing((line) => ({ ...line, requestId: newId(atMs) }))).toBeGreaterThan(20);
    expect(differing(({ learnt: _, ...line }) => line)).toBeGreaterThan(20);
  });
});

describe('a log that was written', () => {
  const near = (value: unknown): unknown => {
    if (typeof value === 'number') return expect.closeTo(value, 12);
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map(near);
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, near(each)]));
  };

  it.each<{ format: Format; policy: Policy }>([
    { format: 'csv', policy: linThompson },
    { format: 'csv', policy: random },
    { format: 'json-lines', policy: squareCb },
  ])('as $format, evaluates to what the database does, for $policy.name', async ({ format, policy }) => {
    await live(linThompson);
    await live(squareCb, { people: 7, seed: 2n });
    const text = await written(format, policy);
    const own = await evaluateOwn(policy);
    expect(own.spread).toMatchObject({ rows: 95, people: 19 });
    expect(own.estimates.map(({ name }) => name)).toContain('DR');
    expect(await evaluateLog(() => readBack(text, format))).toEqual(near(own));
  });

  it.each<Format>(['csv', 'json-lines'])('as %s without a policy, has what one can be asked on', async (format) => {
    await live(linThompson);
    const text = await written(format);
    const [line] = await collect(readBack(text, format));
    expect(line).not.toHaveProperty('targetProbabilities');
    expect(await evaluateLog(() => readBack(text, format), { policy: random })).toEqual(
      near(await evaluateOwn(random)),
    );
  });

  it('has the columns that are documented, and names nobody', async () => {
    await live(linThompson, { people: 3 });
    const text = await written('csv', random);
    expect(text.split('\n')[0]).toBe(
      'user,reward,chosen,propensities,target_probabilities,vectors,request_id,decision_id,decided_at,policy,policy_version,outcome',
    );
    expect(text).not.toContain('lin-thompson/');
    expect(new Set((await collect(readBack(text, 'csv'))).map(({ user }) => user))).toEqual(new Set(['1', '2', '3']));
  });

  it('of nothing is empty', async () => {
    expect(await written('csv')).toBe('');
  });
});

describe('our own decisions', () => {
  const oneVector = () => createChance(3n).vectors(2);

  it('have the reward of what came of them, 0 where nothing did, whatever was rewarded by then', async () => {
    const cases: readonly [Reaction | undefined, bigint | undefined, number, string | undefined][] = [
      [undefined, undefined, 0, undefined],
      [Reaction.HELPFUL, undefined, 0.5, 'helpful'],
      [Reaction.DISMISS, undefined, -1, 'dismiss'],
      [Reaction.DONE, 1_000n, -0.3, 'done'],
      [Reaction.DONE, 30_000n, 1, 'done'],
    ];
    const events = cases.map((_, i) => decided('anna', atMs + i, decisionBy(random, { vectors: oneVector() })));
    const reactions = cases.flatMap(([kind, dwellMs], i) => {
      const event = events[i];
      return event && kind !== undefined ? [reaction('anna', event, kind, dwellMs)] : [];
    });
    await store([...events, ...reactions]);
    const found = new Map((await lines()).map((line) => [line.decisionId, line]));
    for (const [i, [, , reward, outcome]] of cases.entries())
      expect(found.get(events[i]?.eventId ?? '')).toMatchObject({ reward, outcome, user: '1' });
  });

  it('are not mixed with reactions to other tips, or of others', async () => {
    const event = decided('anna', atMs, decisionBy(random, { vectors: oneVector() }));
    const other = decided('anna', atMs, { ...(event.payload.value as TipScored), tipId: 'another' }, event.eventId);
    await store([event, reaction('anna', other, Reaction.HELPFUL), reaction('bert', event, Reaction.HELPFUL)]);
    expect(await lines()).toMatchObject([{ reward: 0, outcome: undefined }]);
  });

  it('are left out and counted, where they cannot be used', async () => {
    const vectors = oneVector();
    const made = (policy: Policy, more: Partial<TipScored> = {}, populationId = '') =>
      decided('anna', atMs, { ...decisionBy(policy, { vectors, populationId }), ...more });
    await store([
      made(linThompson),
      made(linThompson, {}, newId(atMs)), // its population is lost
      made(linThompson, { vectorVersion: '' }), // of the first encoding, but nothing learnt was logged yet
      made(linThompson, { vectorVersion: 'x' }),
      made(random),
      made(random, { candidates: [] }),
    ]);
    const counts = async (policy?: Policy) => {
      let leftOut = {};
      const all = await lines(policy, (log) => {
        leftOut = log.leftOut();
      });
      return { lines: all.length, ...leftOut };
    };
    expect(await counts()).toEqual({ lines: 4, vectors: 1, statistics: 0, propensities: 1 });
    expect(await counts(random)).toEqual({ lines: 4, vectors: 1, statistics: 0, propensities: 1 });
    expect(await counts(linThompson)).toEqual({ lines: 1, vectors: 1, statistics: 3, propensities: 1 });
  });

  it('are those of one instant, in all readings, in the order of people', async () => {
    await live(random, { people: 3, each: 2 });
    await withDecisionLog(database, random, async (log) => {
      const first = await collect(log.read());
      await live(random, { people: 9, each: 1 });
      expect(await collect(log.read())).toEqual(first);
      expect(first.map(({ user }) => user)).toEqual(['1', '1', '2', '2', '3', '3']);
    });
    expect(await lines()).toHaveLength(15);
  });
});

describe('npm run off-policy', () => {
  const run = async (...args: readonly string[]) => {
    const env = { ...process.env, DATABASE_URL: testDatabase.url, NO_COLOR: '1' };
    const command = startNode('scripts/off-policy.ts', env, args);
    return { code: await command.ended, output: command.output() };
  };

  it('evaluates our own decisions', async () => {
    await live(random);
    await store([decided('anna', atMs, { ...decisionBy(random, { vectors: [[1]] }), vectorVersion: 'x' })]);
    const { code, output } = await run('--policy', 'random');
    expect(output).toContain('60 decisions about 12 people');
    expect(output).toContain('1 left out: their vectors are of another encoding');
    expect(code).toBe(1);
  });

  it('writes them to a file, which it evaluates', async () => {
    await live(linThompson);
    const file = join(folder, 'log.csv');
    const { code, output } = await run('--export', file, '--policy', 'lin-thompson');
    expect({ code, output }).toEqual({ code: 0, output: `60 decisions in ${file}\n` });
    expect(readFileSync(file, 'utf8')).toBe(await written('csv', linThompson));
    expect(await readdir(folder)).toEqual(['log.csv']);
    const evaluated = await run(file);
    expect(evaluated.output).toContain('60 decisions about 12 people');
    expect(evaluated.output).toBe((await run('--policy', 'lin-thompson')).output);
  });

  it('leaves what was there, if it cannot write', async () => {
    await store([decided('anna', atMs, decisionBy(random, { vectors: [[1]] }))]);
    await database.query("UPDATE events SET envelope = '\\xff'");
    const file = join(folder, 'kept.csv');
    await writeFile(file, 'before');
    const { code } = await run('--export', file);
    expect(code).toBe(1);
    expect(readFileSync(file, 'utf8')).toBe('before');
    expect(await readdir(folder)).not.toContain('kept.csv.part');
  });

  it('has nothing to say of no decisions', async () => {
    expect(await run('--policy', 'random')).toEqual({ code: 2, output: 'our own decisions: the log is empty\n' });
  });
});
