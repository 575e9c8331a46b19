// What the names in a decision mean, in plain words.
import type { OutcomeName } from '../experiments/rewards.ts';
import type { ProfileFeatureName } from '../features/definitions.ts';
import type { Source, Status } from '../features/profile.ts';
import type { vectorNames } from '../features/vector.ts';
import { duration, number, percentOf } from './plain-words.ts';

interface FeatureWords {
  readonly label: string;
  readonly text: (value: number) => string;
}

const weekdays = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];

const oclock = (hour: number): string => `${hour}:00 to ${hour}:59`;

export const featureWords: Readonly<Record<string, FeatureWords>> = {
  completion_rate_30d: { label: 'share of tips done, 30 days', text: percentOf },
  dismiss_rate_30d: { label: 'share of tips sent away, 30 days', text: percentOf },
  mean_dwell_ms_30d: { label: 'mean time to react, 30 days', text: duration },
  preferred_hour: { label: 'hour of most tips done, 30 days', text: oclock },
  tip_volume_30d: { label: 'tips shown, 30 days', text: number },
  hour_of_day: { label: 'hour of their day', text: oclock },
  day_of_week: { label: 'day of their week', text: (value) => weekdays[value - 1] ?? number(value) },
} satisfies Record<ProfileFeatureName | 'hour_of_day' | 'day_of_week', FeatureWords>;

/** A feature's value with its unit. */
export const textOf = (name: string, value: number): string => featureWords[name]?.text(value) ?? number(value);

export const statusWords: Readonly<Record<Status, string>> = {
  present: 'known',
  stale: 'known, but old',
  missing: 'not known',
  default: 'assumed',
};

export const sources: Readonly<Record<string, string>> = {
  request: 'the caller',
  store: 'our records',
  clock: 'our clock',
  feast: 'Feast',
  population: 'everybody’s average',
} satisfies Record<Source, string>;

export const weaknesses: Readonly<Record<string, string>> = {
  profile_unavailable: 'our records of the person could not be read in time',
  policy_fallback: 'the policy that was asked could not decide, so every tip got the same chance',
  feast_unavailable: 'Feast did not answer in time, so our own values were used',
};

export const entryWords: Readonly<Record<(typeof vectorNames)[number], string>> = {
  hour_sin: 'time of day',
  hour_cos: 'time of day',
  is_overdue: 'overdue',
  task_age_norm: 'age of the task',
  priority_norm: 'priority',
  dow_sin: 'day of week',
  dow_cos: 'day of week',
  completion_rate_30d: 'tips done',
  dismiss_rate_30d: 'tips sent away',
  mean_dwell_ms_30d: 'time to react',
  preferred_hour: 'near the preferred hour',
  tip_volume_30d: 'tips shown',
};

const greedily = 'shows the tip with the best estimate, and for a share (epsilon) of decisions any of them, to learn';

/** What a policy does, by its name: "It …". */
export const ways: Readonly<Record<string, string>> = {
  random: 'gives every tip the same chance',
  'egreedy-v1': greedily,
  'egreedy-v2': greedily,
  'linucb-v1':
    'shows the tip that could be the best one, given what is not known yet, and sometimes any of them, to learn',
  'lin-thompson': 'gives each tip the chance of being the best one, given what is not known yet',
  'square-cb': 'gives a tip less of a chance the further its estimate is behind the best one',
  softmax: 'gives a tip more of a chance the better its estimate is',
};

export const outcomes: Readonly<Record<string, string>> = {
  done: 'Done',
  dismiss: 'Sent away',
  snooze: 'Put off',
  helpful: 'Called helpful',
  not_helpful: 'Called not helpful',
  ignored: 'Ignored',
} satisfies Record<OutcomeName, string>;
