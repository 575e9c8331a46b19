import { drawsOf, pick, seedOf } from '../../experiments/draw.ts';
import { unit, type Vector, vectorNames, vectorVersion } from '../../features/vector.ts';
import { personFeatures, profileFeatures } from '../../gen/proto/oo/contract.ts';
import { isHeldOut, pseudonymOf } from '../../pipelines/training/people.ts';
import type { TrainingExample } from '../../pipelines/training-set.ts';

/** A world in which it is known what comes of a tip. */
export interface World {
  readonly people: number;
  readonly rowsEach: number;
  readonly seed: string;
  /** Expected reward of a vector, in thousandths. */
  readonly expected: (vector: Vector) => number;
  /** How much people differ, and single rewards, either way, in thousandths. */
  readonly spreadMilli: number;
  readonly noiseMilli: number;
  readonly candidates: number;
}

export const quietWorld: World = {
  people: 60,
  rowsEach: 5,
  seed: 'world',
  expected: () => 0,
  spreadMilli: 100,
  noiseMilli: 300,
  candidates: 3,
};

const kinds = ['task', 'advice', 'insight'];

/** What a policy that chooses at random would have logged in a world, by person. The same for the same world. */
export function* examplesOf(world: World): Generator<TrainingExample> {
  const draws = drawsOf(seedOf(world.seed));
  let counter = 0;
  const next = () => draws.uniform(counter++);
  const around = (size: number) => Math.round((2 * next() - 1) * size);
  for (let person = 0; person < world.people; person++) {
    const shift = around(world.spreadMilli);
    for (let i = 0; i < world.rowsEach; i++) {
      const vectors = Array.from({ length: world.candidates }, () => vectorNames.map(() => around(1 / unit)));
      const propensities = vectors.map(() => 1 / world.candidates);
      const chosen = pick(propensities, next());
      const vector = vectors[chosen] ?? [];
      const milli = Math.round(world.expected(vector)) + shift + around(world.noiseMilli);
      const rewardMilli = Math.min(1000, Math.max(-1000, milli));
      yield exampleOf({ person: `${world.seed}-${person}`, i, vectors, propensities, chosen, rewardMilli });
    }
  }
}

interface Simple {
  readonly person: string;
  readonly i: number;
  readonly vectors: readonly Vector[];
  readonly propensities: readonly number[];
  readonly chosen: number;
  readonly rewardMilli: number | null;
}

export function exampleOf({ person, i, vectors, propensities, chosen, rewardMilli }: Simple): TrainingExample {
  const hasReward = rewardMilli !== null;
  const number = Number.parseInt(pseudonymOf(person).slice(24), 16);
  return {
    person: pseudonymOf(person),
    vectorVersion,
    hourOfDay: (number + i) % 24,
    timeZoneArea: number % 2 === 0 ? 'Europe' : 'America',
    tenureDays: i === 0 ? null : number % 200,
    chosen,
    propensities,
    vectors,
    row: {
      decision_id: `0190a5d2-7b1c-8cc0-8a5e-${number.toString(16).padStart(8, '0')}${i.toString(16).padStart(4, '0')}`,
      decided_at: new Date(Date.UTC(2026, 10, 1) + 60_000 * i).toISOString(),
      policy: 'random',
      policy_version: '1',
      model_version: i % 2 === 0 ? null : 'prior-1',
      tip_kind: kinds[(number + i) % kinds.length] ?? '',
      tip_source: 'llm',
      llm_model: null,
      prompt_version: 'v1',
      candidates: vectors.length,
      score: 0.5,
      propensity: propensities[chosen] ?? 0,
      vector_names: vectorNames,
      vector: vectors[chosen] ?? [],
      features: featuresOf(number, i),
      verified: i % 7 !== 6,
      degradations: i % 3 === 0 ? [] : ['profile_unavailable', 'policy_fallback'].slice(0, i % 3),
      outcome: hasReward ? 'done' : null,
      outcome_at: hasReward ? new Date(Date.UTC(2026, 10, 2) + i).toISOString() : null,
      dwell_ms: hasReward && i % 2 === 0 ? 30_000 + i : null,
      reward_milli: rewardMilli,
      reward_version: hasReward ? '2' : null,
    },
  };
}

/** Some of everything: known and not known, whole and broken, lists that are full and empty. */
function featuresOf(number: number, i: number): TrainingExample['row']['features'] {
  const byHour = Array.from({ length: 24 }, (_, hour) => (hour + number) % 3);
  const known: Record<string, number | readonly number[]> = {
    completion_rate_30d: (number % 7) / 7,
    tips_served_30d: number % 90,
    integrations_connected: number % 3,
    done_by_hour_30d: i % 2 === 0 ? byHour : [],
  };
  return Object.fromEntries([...profileFeatures, ...personFeatures].map(({ name }) => [name, known[name] ?? null]));
}

/** People by whether an evaluation would see them. */
export const heldOutOf = (examples: readonly TrainingExample[], share: number): readonly TrainingExample[] =>
  examples.filter(({ person }) => isHeldOut(person, share));
