// Which ways to decide are compared.
import { egreedyV2 as egreedyV2Served } from '../experiments/policies/egreedy-v2.ts';
import { createEpsilonGreedy } from '../experiments/policies/epsilon-greedy.ts';
import { policies } from '../experiments/policies/index.ts';
import { createLinThompson } from '../experiments/policies/lin-thompson.ts';
import { createLinUcb } from '../experiments/policies/linucb-v1.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { random } from '../experiments/policies/random.ts';
import { createSoftmax, softmax } from '../experiments/policies/softmax.ts';
import { createSquareCb, squareCb } from '../experiments/policies/square-cb.ts';
import type { Contender } from '../pipelines/simulation/simulate.ts';

/**
 * `standard`: every policy as it is served, and each that learns without the population. `grid`: other hyperparameters,
 * coarsely. `proposals`: what the grid found to be better, beside what is served.
 */
export const fields = ['standard', 'grid', 'proposals'] as const;

export type Field = (typeof fields)[number];

export function contendersOf(field: Field): readonly Contender[] {
  if (field === 'standard') return [...policies.values()].flatMap((policy) => withAndWithout(policy, policy.name));
  return (field === 'grid' ? grid() : proposals()).flatMap((policy) => {
    const name = `${policy.name} ${policy.version}`;
    const isServed = policies.get(policy.name)?.version === policy.version;
    return field === 'grid' || isServed ? [{ name, policy, isPooled: true }] : withAndWithout(policy, name);
  });
}

export const alone = (name: string): string => `${name}, alone`;

function withAndWithout(policy: Policy, name: string): readonly Contender[] {
  const pooled = { name, policy, isPooled: true };
  return policy.learning ? [pooled, { name: alone(name), policy, isPooled: false }] : [pooled];
}

const egreedyV1 = { name: 'egreedy-v1', code: 1, entries: 7 };
const egreedyV2 = { name: 'egreedy-v2', code: 2, entries: 12 };

/** One hyperparameter at a time around what is served, but for `lambda` and `kappa`, which are tried together. */
function grid(): readonly Policy[] {
  const strengths = [1, 5, 20].flatMap((lambda) => [2, 5, 10, 20].map((kappa) => ({ lambda, kappa })));
  const some: readonly Policy[] = [
    ...strengths.map((given) => createEpsilonGreedy(egreedyV2, given)),
    ...[0.02, 0.05, 0.2].flatMap((epsilon) =>
      [egreedyV1, egreedyV2].map((kind) => createEpsilonGreedy(kind, { epsilon })),
    ),
    ...[0, 0.25, 0.5, 2].map((alpha) => createLinUcb({ alpha })),
    ...[0.02, 0.1].map((epsilon) => createLinUcb({ epsilon })),
    ...[2, 5, 20].map((kappa) => createLinThompson({ kappa })),
    ...[0.002, 0.005].map((floor) => createLinThompson({ floor })),
    ...[30, 100, 300].map((gamma) => createSquareCb({ gamma })),
    ...[0.03, 0.05, 0.2].map((temperature) => createSoftmax({ temperature })),
  ];
  const others = some.filter(({ name, version }) => policies.get(name)?.version !== version);
  return [...policies.values(), ...others];
}

function proposals(): readonly Policy[] {
  return [
    random,
    egreedyV2Served,
    createEpsilonGreedy(egreedyV2, { epsilon: 0.05 }),
    squareCb,
    createSquareCb({ gamma: 300 }),
    softmax,
    createSoftmax({ temperature: 0.03 }),
  ];
}
