import { pick, uniform } from '../../experiments/draw.ts';
import { type Decision, type Row, toRow } from '../../experiments/off-policy/row.ts';

type Table = readonly (readonly number[])[];

/** A world of three situations and three candidates in which the truth is known. */
export interface World {
  readonly propensities: Table;
  readonly targetProbabilities: Table;
  /** Expected rewards, by situation and candidate. */
  readonly rewards: Table;
  readonly people: number;
  readonly rowsEach: number;
  /** How much people differ: each one's rewards are shifted by up to this, either way. */
  readonly spread: number;
  /** Rewards are up to this beside what is expected, either way. */
  readonly noise: number;
}

export const world: World = {
  propensities: [
    [0.6, 0.3, 0.1],
    [0.2, 0.2, 0.6],
    [1 / 3, 1 / 3, 1 / 3],
  ],
  targetProbabilities: [
    [0.1, 0.3, 0.6],
    [0.5, 0.5, 0],
    [0.2, 0.7, 0.1],
  ],
  rewards: [
    [0.1, 0.4, 0.8],
    [-0.3, 0.5, 0.2],
    [0.9, -0.6, 0],
  ],
  people: 60,
  rowsEach: 5,
  spread: 0.5,
  noise: 0.5,
};

export interface SimulatedDecision extends Decision {
  /** One for each candidate: which situation, which candidate, each as a one among zeros. */
  readonly vectors: Table;
  /** The expected rewards of the candidates, for a person like all. */
  readonly expected: readonly number[];
}

const oneHot = (index: number): readonly number[] => [0, 1, 2].map((i) => (i === index ? 1 : 0));

/** What the target policy earns, and the log's own: situations are equally likely. */
export function truth({ targetProbabilities, propensities, rewards }: World) {
  const earned = (policy: Table) =>
    policy
      .flatMap((row, x) => row.map((p, a) => (p * (rewards[x]?.[a] ?? 0)) / 3))
      .reduce((sum, each) => sum + each, 0);
  return { target: earned(targetProbabilities), logged: earned(propensities) };
}

export function simulate(given: World, seed: number): SimulatedDecision[] {
  let counter = 0;
  const next = () => uniform(BigInt(seed) * 1_000_003n, counter++);
  const around = (width: number) => (2 * next() - 1) * width;
  return Array.from({ length: given.people }, (_, person) => {
    const shift = around(given.spread);
    return Array.from({ length: given.rowsEach }, () => {
      const situation = Math.floor(next() * 3);
      const propensities = given.propensities[situation] ?? [];
      const expected = given.rewards[situation] ?? [];
      const chosen = pick(propensities, next());
      return {
        user: `person-${person}`,
        chosen,
        propensities,
        targetProbabilities: given.targetProbabilities[situation] ?? [],
        reward: (expected[chosen] ?? 0) + shift + around(given.noise),
        vectors: [0, 1, 2].map((candidate) => [...oneHot(situation), ...oneHot(candidate)]),
        expected,
      };
    });
  }).flat();
}

/** With the true expectations as the model. */
export const withTrueModel = (decisions: readonly SimulatedDecision[]): Row[] =>
  decisions.map((decision) => toRow(decision, decision.expected));

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}
