// Which ways to decide are compared.
import { createEpsilonGreedy } from '../experiments/policies/epsilon-greedy.ts';
import { policies } from '../experiments/policies/index.ts';
import { createLinThompson } from '../experiments/policies/lin-thompson.ts';
import { createLinUcb } from '../experiments/policies/linucb-v1.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { random } from '../experiments/policies/random.ts';
import { createSoftmax } from '../experiments/policies/softmax.ts';
import { createSquareCb } from '../experiments/policies/square-cb.ts';
import { type Contender, withoutPrior } from '../pipelines/simulation/simulate.ts';

/**
 * `standard`: every policy as it is served, and each that learns without the population, with and without the prior set by
 * hand. `grid`: other hyperparameters, coarsely. `former`: what was served before, beside what is.
 */
export const fields = ['standard', 'grid', 'former'] as const;

export type Field = (typeof fields)[number];

export function contendersOf(field: Field): readonly Contender[] {
  if (field === 'standard') return [...policies.values()].flatMap(withAndWithout);
  return (field === 'grid' ? grid() : formerAndServed()).map((policy) => {
    return { name: `${policy.name} ${policy.version}`, policy, isPooled: true };
  });
}

/**
 * What a person's model starts from in the place of everybody's. `own`: from nothing, so from their own rewards only, as
 * ridge regression or LinUCB for each person by themselves. `alone`: from the prior set by hand, which is some knowledge
 * about everybody too.
 */
export const ways = ['own', 'alone'] as const;

export type Way = (typeof ways)[number];

export const unpooled = (name: string, way: Way): string => `${name}, ${way}`;

function withAndWithout(policy: Policy): readonly Contender[] {
  const pooled = { name: policy.name, policy, isPooled: true };
  if (!policy.learning) return [pooled];
  const alone = { name: unpooled(policy.name, 'alone'), policy, isPooled: false };
  return [pooled, { name: unpooled(policy.name, 'own'), policy: withoutPrior(policy), isPooled: false }, alone];
}

const egreedyV1 = { name: 'egreedy-v1', code: 1, entries: 7 };
const egreedyV2 = { name: 'egreedy-v2', code: 2, entries: 12 };

/** One hyperparameter at a time around what is served, but for `lambda` and `kappa`, which are tried together. */
function grid(): readonly Policy[] {
  const strengths = [5, 20, 80].flatMap((lambda) => [2, 5, 10, 20].map((kappa) => ({ lambda, kappa })));
  const some: readonly Policy[] = [
    ...strengths.map((given) => createEpsilonGreedy(egreedyV2, given)),
    ...[0.02, 0.05, 0.2].flatMap((epsilon) =>
      [egreedyV1, egreedyV2].map((kind) => createEpsilonGreedy(kind, { epsilon })),
    ),
    ...[0, 0.5, 1, 2].map((alpha) => createLinUcb({ alpha })),
    ...[0.02, 0.1].map((epsilon) => createLinUcb({ epsilon })),
    ...[2, 5, 20].map((kappa) => createLinThompson({ kappa })),
    ...[0.25, 1].map((scale) => createLinThompson({ scale })),
    ...[0.002, 0.005].map((floor) => createLinThompson({ floor })),
    ...[10, 30, 300].map((gamma) => createSquareCb({ gamma })),
    ...[0.02, 0.05, 0.1].map((temperature) => createSoftmax({ temperature })),
  ];
  const others = some.filter(({ name, version }) => policies.get(name)?.version !== version);
  return [...policies.values(), ...others];
}

/** In pairs: what was served before these simulations, and what is. */
function formerAndServed(): readonly Policy[] {
  const lambda = 5;
  const formerly = [
    createEpsilonGreedy(egreedyV1, { lambda }),
    createEpsilonGreedy(egreedyV2, { lambda }),
    createLinUcb({ lambda, alpha: 1 }),
    createLinThompson({ lambda, scale: 1 }),
    createSquareCb({ lambda, gamma: 10 }),
    createSoftmax({ lambda, temperature: 0.1 }),
  ];
  return [random, ...formerly.flatMap((former) => [former, policies.get(former.name) ?? former])];
}
