// What is measured of a person's health, where that is connected. Of each measure the newest sample of a day counts.
import { utcDay } from '../../platform/clock.ts';
import type { BucketOf } from '../buckets.ts';
import type { FeatureGroup, FeatureOf } from './feature.ts';

type Sample = BucketOf<'user_health'>;
type Measure = 'steps' | 'sleep_minutes' | 'active_minutes' | 'resting_heart_rate_bpm';

export const health = {
  entity: 'user_id',
  contributes: {
    healthSampled({ userId, eventId, atMs }, sample) {
      const measured: Readonly<Record<Measure, number | undefined>> = {
        steps: sample.steps,
        sleep_minutes: sample.sleepMinutes,
        active_minutes: sample.activeMinutes,
        resting_heart_rate_bpm: sample.restingHeartRateBpm,
      };
      return Object.entries(measured)
        .filter(([, value]) => value !== undefined)
        .map(([measure, value]) => ({
          table: 'user_health',
          row: {
            user_id: userId,
            day: utcDay(atMs),
            measure,
            provider: sample.provider,
            sampled_at: atMs,
            sampled_event_id: eventId.toLowerCase(),
            value,
          },
        }));
    },
  },
  features: {
    steps_today: newestSample('steps', 1),
    sleep_minutes: newestSample('sleep_minutes', 1),
    active_minutes_today: newestSample('active_minutes', 1),
    resting_heart_rate_bpm: newestSample('resting_heart_rate_bpm', 7),
    steps_mean_7d: {
      table: 'user_health',
      days: 8,
      read(rows, nowMs) {
        const before = rows.filter(({ measure, day }) => measure === 'steps' && day < utcDay(nowMs));
        const samples = [...Map.groupBy(before, ({ day }) => day).values()].flatMap((ofDay) => newestOf(ofDay) ?? []);
        if (samples.length === 0) return undefined;
        const total = samples.reduce((steps, { value }) => steps + (value ?? 0), 0);
        return { value: total / samples.length, asOfMs: newestOf(samples)?.sampled_at };
      },
    },
  },
} as const satisfies FeatureGroup;

function newestSample(measure: Measure, days: number): FeatureOf<'user_health'> {
  return {
    table: 'user_health',
    days,
    read(rows) {
      const sample = newestOf(rows.filter((row) => row.measure === measure));
      return sample?.value === undefined ? undefined : { value: sample.value, asOfMs: sample.sampled_at };
    },
  };
}

/** Where two providers measured at the same instant, the event's id decides, as everywhere. */
function newestOf(samples: readonly Sample[]): Sample | undefined {
  const at = ({ sampled_at }: Sample) => sampled_at ?? 0;
  return samples.reduce<Sample | undefined>((newest, sample) => {
    if (newest === undefined || at(sample) > at(newest)) return sample;
    if (at(sample) < at(newest)) return newest;
    return (sample.sampled_event_id ?? '') > (newest.sampled_event_id ?? '') ? sample : newest;
  }, undefined);
}
