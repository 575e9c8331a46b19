import { profileFeatures } from '../gen/proto/oo/contract.ts';
import { vectorNames } from './vector.ts';

/** One entry of a vector in words, for whoever reads what a model was made of. */
export interface InputDescription {
  readonly name: string;
  readonly definition: string;
  readonly unit: string;
  readonly low: number;
  readonly high: number;
  /** What the entry is where the value is not known. Null: it is always known. */
  readonly nullFallback: number | null;
  /** An older value is read all the same, and said to be stale. Null: it is as old as the request. */
  readonly maxAgeMs: number | null;
  readonly source: string;
}

type Described = Omit<InputDescription, 'name' | 'nullFallback' | 'maxAgeMs' | 'source'> &
  Partial<Pick<InputDescription, 'source'>>;

const wave = { low: -1, high: 1 };
const share = { low: 0, high: 1 };
const moment = 'the request, else the clock of the server';
const candidate = 'the request: features of the candidate';

/** How each is encoded; what it is of a person says the contract. */
const encodings: Readonly<Record<(typeof vectorNames)[number], Described>> = {
  hour_sin: { definition: 'Sine of the hour of the day', unit: 'cycle of 24 hours', ...wave, source: moment },
  hour_cos: { definition: 'Cosine of the hour of the day', unit: 'cycle of 24 hours', ...wave, source: moment },
  is_overdue: { definition: 'Whether the task is overdue', unit: '1 yes, 0 no', ...share, source: candidate },
  task_age_norm: { definition: 'Age of the task, at most 30 days', unit: 'of 30 days', ...share, source: candidate },
  priority_norm: {
    definition: 'Priority of the task, 1 to 4',
    unit: '0 lowest, 1 highest',
    ...share,
    source: candidate,
  },
  dow_sin: { definition: 'Sine of the day of the week', unit: 'cycle of 7 days', ...wave, source: moment },
  dow_cos: { definition: 'Cosine of the day of the week', unit: 'cycle of 7 days', ...wave, source: moment },
  completion_rate_30d: { definition: '', unit: 'share', ...share },
  dismiss_rate_30d: { definition: '', unit: 'share', ...share },
  mean_dwell_ms_30d: { definition: ', at most 10 minutes', unit: 'of 10 minutes', ...share },
  preferred_hour: { definition: ', by how near it is to now', unit: '1 now, 0 twelve hours away', ...share },
  tip_volume_30d: { definition: ', on a logarithmic scale', unit: '0 none, 1 a hundred or more', ...share },
};

/** Every entry of a vector, in order. */
export const inputDescriptions: readonly InputDescription[] = vectorNames.map((name) => {
  const { definition, source, ...encoding } = encodings[name];
  const feature = profileFeatures.find((each) => each.name === name);
  return {
    name,
    definition: `${feature?.description ?? ''}${definition}`,
    ...encoding,
    nullFallback: feature?.nullFallback ?? null,
    maxAgeMs: feature?.ttlMs ?? null,
    source: source ?? `the request, else the events ${(feature?.invalidatedBy ?? []).join(', ')}`,
  };
});

/** Those of some entries, in their order. Throws a RangeError on a name that no entry has. */
export function describeInputs(names: readonly string[]): readonly InputDescription[] {
  return names.map((name) => {
    const found = inputDescriptions.find((each) => each.name === name);
    if (!found) throw new RangeError(`vectors have no entry ${name}`);
    return found;
  });
}
