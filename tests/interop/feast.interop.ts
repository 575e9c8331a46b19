import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProfileFeatureName } from '../../features/definitions.ts';
import { createFeastStore } from '../../features/feast-store.ts';
import { toMs } from '../../features/time.ts';
import { Degradation, Reaction, TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { FeatureSource, FeatureStatus } from '../../gen/proto/oo/features/v1/features_pb.ts';
import { type Loop, startLoop } from '../_util/loop.ts';
import { type FeastServer, startFeast } from './feast-server.ts';

const dayMs = 86_400_000;
const references = {
  completion_rate_30d: 'person_stats:done_rate',
  tip_volume_30d: 'person_stats:volume',
  preferred_hour: 'habits:hour',
} as const;

let feast: FeastServer;
/** To the second, as Feast keeps times. */
const nowMs = Math.floor(Date.now() / 1000) * 1000;
const ago = (days: number) => new Date(nowMs - days * dayMs);

beforeAll(async () => {
  feast = await startFeast();
  await feast.write('person_stats', [
    { user_id: 'fresh', event_timestamp: ago(0), done_rate: 0.25, volume: 12 },
    { user_id: 'old', event_timestamp: ago(40), done_rate: 0.5, volume: 3 },
    { user_id: 'null', event_timestamp: ago(0), done_rate: null, volume: null },
    { user_id: 'nan', event_timestamp: ago(0), done_rate: Number.NaN, volume: 1 },
    { user_id: 'wrong', event_timestamp: ago(0), done_rate: 1.5, volume: -1 },
  ]);
  await feast.write('habits', [
    { user_id: 'fresh', event_timestamp: ago(2), hour: 23 },
    { user_id: 'wrong', event_timestamp: ago(0), hour: 24 },
  ]);
});
afterAll(() => feast[Symbol.asyncDispose]());

const optionsOf = (features: Readonly<Record<string, string>> = references, timeoutMs = 10_000) => ({
  url: feast.url,
  features: new Map(Object.entries(features) as [ProfileFeatureName, string][]),
  timeoutMs,
});
const storeOf = (...options: Parameters<typeof optionsOf>) => createFeastStore(optionsOf(...options));

describe('a feature server', () => {
  it.each([
    [
      'fresh',
      {
        completion_rate_30d: { value: 0.25, asOfMs: nowMs },
        tip_volume_30d: { value: 12, asOfMs: nowMs },
        preferred_hour: { value: 23, asOfMs: nowMs - 2 * dayMs },
      },
    ],
    [
      // Feast says PRESENT although the view's time-to-live is 30 days: only its time tells.
      'old',
      {
        completion_rate_30d: { value: 0.5, asOfMs: nowMs - 40 * dayMs },
        tip_volume_30d: { value: 3, asOfMs: nowMs - 40 * dayMs },
      },
    ],
    ['null', {}],
    ['nan', { tip_volume_30d: { value: 1, asOfMs: nowMs } }],
    ['wrong', {}],
    ['missing', {}],
    ['', {}],
    ["'; DROP TABLE person_stats; --", {}],
  ])('says of %j what it knows', async (userId, readings) => {
    expect(Object.fromEntries(await storeOf().read(userId))).toEqual(readings);
  });

  it('answers for many people at once, each with their own', async () => {
    const people = Array.from({ length: 300 }, (_, i) => ({
      user_id: `many-${i}`,
      event_timestamp: ago(0),
      hour: i % 24,
    }));
    await feast.write('habits', people);
    const store = storeOf();
    const answers = await Promise.all(people.map(({ user_id }) => store.read(user_id)));
    expect(answers.map((readings) => readings.get('preferred_hour')?.value)).toEqual(people.map(({ hour }) => hour));
  });

  it.each([
    ['feature', { tip_volume_30d: 'person_stats:nothing' }],
    ['view', { tip_volume_30d: 'nobody:volume' }],
  ])('refuses an unknown %s', async (_, features) => {
    // After an error it drops the connection, which a request that follows at once may meet.
    await expect(storeOf(features).read('fresh')).rejects.toThrow(
      /^Feast (answered with status [45]\d\d$|could not be reached)/,
    );
  });

  it('that hangs is given up in time, and asked again', async () => {
    const store = storeOf(references, 200);
    feast.pause();
    const begunMs = performance.now();
    await expect(store.read('fresh')).rejects.toThrow('Feast did not answer within 200 ms');
    expect(performance.now() - begunMs).toBeLessThan(1_000);
    feast.resume();
    await expect.poll(() => store.read('fresh').then(({ size }) => size), { timeout: 10_000 }).toBe(3);
  });

  it('that is gone is noticed, and used again when it is back', async () => {
    const store = storeOf();
    await feast.kill();
    await expect(store.read('fresh')).rejects.toThrow('Feast could not be reached');
    await feast.restart();
    expect((await store.read('fresh')).size).toBe(3);
  });
});

describe('a Score', () => {
  const timeoutMs = 1000;
  let loop: Loop;
  beforeAll(async () => {
    loop = await startLoop({ config: { feast: optionsOf(references, timeoutMs) } });
    for (const userId of ['fresh', 'missing']) {
      await loop.publisher.publish({ userId, payload: { case: 'tipServed', value: { tipId: 't' } } });
      await loop.publisher.publish({
        userId,
        payload: { case: 'tipFeedback', value: { tipId: 't', reaction: Reaction.DONE, dwellMs: 4000n } },
      });
    }
    await loop.drained();
  });
  afterAll(() => loop[Symbol.asyncDispose]());

  const candidates = [
    { id: 'a', kind: TipKind.ADVICE, source: TipSource.FALLBACK, promptVersion: 'fallback' },
    { id: 'b', kind: TipKind.ADVICE, source: TipSource.FALLBACK, promptVersion: 'fallback' },
  ];

  /** What was decided with, and how long the answer took. */
  async function score(userId: string, profileFeatures: { completionRate30d?: number } = {}) {
    const begunMs = performance.now();
    const { featureValues, degradations } = await loop.client.score({ userId, candidates, profileFeatures });
    const tookMs = performance.now() - begunMs;
    const values = featureValues.flatMap(({ name, value, status, source, asOf }) =>
      name in fromFeast ? [[name, { value, status, source, asOfMs: asOf && toMs(asOf) }] as const] : [],
    );
    return { values: Object.fromEntries(values), degradations, tookMs };
  }

  const { FEAST, STORE, REQUEST } = FeatureSource;
  const { PRESENT, STALE } = FeatureStatus;
  const own = (value: unknown) => ({ value, status: PRESENT, source: STORE, asOfMs: expect.any(Number) });
  const served = (value: number, days: number, status: FeatureStatus = PRESENT) => ({
    value,
    status,
    source: FEAST,
    asOfMs: nowMs - days * dayMs,
  });

  const fromFeast = {
    completion_rate_30d: served(0.25, 0),
    mean_dwell_ms_30d: own(4000),
    preferred_hour: served(23, 2),
    tip_volume_30d: served(12, 0),
  };
  const ours = {
    completion_rate_30d: own(1),
    mean_dwell_ms_30d: own(4000),
    preferred_hour: own(expect.any(Number)),
    tip_volume_30d: own(1),
  };

  it('uses what Feast has, as of when, and our own for what was not chosen', async () => {
    expect(await score('fresh')).toMatchObject({ values: fromFeast, degradations: [] });
  });

  it('takes what the caller sends before what Feast has', async () => {
    const { values } = await score('fresh', { completionRate30d: 0.75 });
    expect(values).toMatchObject({ ...fromFeast, completion_rate_30d: { value: 0.75, source: REQUEST } });
  });

  it('says that a value is stale by our time-to-live, whatever Feast says', async () => {
    const { values, degradations } = await score('old');
    expect(values).toMatchObject({ completion_rate_30d: served(0.5, 40, STALE), tip_volume_30d: served(3, 40, STALE) });
    expect(degradations).toEqual([]);
  });

  it('falls back to ours for a person whom Feast does not know', async () => {
    expect(await score('missing')).toMatchObject({ values: ours, degradations: [] });
  });

  const isBack = async () => {
    await expect.poll(() => score('fresh').then(({ values }) => values), { timeout: 20_000 }).toMatchObject(fromFeast);
  };

  it('falls back to ours in time when Feast hangs, and does not make every Score wait', async () => {
    feast.pause();
    const first = await score('fresh');
    expect(first).toMatchObject({ values: ours, degradations: [Degradation.FEAST_UNAVAILABLE] });
    expect(first.tookMs).toBeLessThan(timeoutMs + 500);

    const next = await Promise.all(Array.from({ length: 20 }, () => score('fresh')));
    for (const { values, degradations, tookMs } of next) {
      expect({ values, degradations }).toMatchObject({ values: ours, degradations: [Degradation.FEAST_UNAVAILABLE] });
      expect(tookMs).toBeLessThan(timeoutMs);
    }
    feast.resume();
    await isBack();
  });

  it('falls back to ours when Feast is gone, and uses it again when it is back', async () => {
    await feast.kill();
    for (let i = 0; i < 3; i++) {
      expect(await score('fresh')).toMatchObject({ values: ours, degradations: [Degradation.FEAST_UNAVAILABLE] });
    }
    await feast.restart();
    await isBack();
    expect((await score('fresh')).degradations).toEqual([]);
  });
});
