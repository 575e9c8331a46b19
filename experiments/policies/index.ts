import { egreedyV1 } from './egreedy-v1.ts';
import { egreedyV2 } from './egreedy-v2.ts';
import { linThompson } from './lin-thompson.ts';
import { linUcb } from './linucb-v1.ts';
import type { Policy } from './policy.ts';
import { random } from './random.ts';
import { softmax } from './softmax.ts';
import { squareCb } from './square-cb.ts';

/** The policies that can decide, by name. */
export const policies: ReadonlyMap<string, Policy> = new Map(
  [random, egreedyV1, egreedyV2, linUcb, linThompson, squareCb, softmax].map((policy) => [policy.name, policy]),
);

export const defaultPolicy = egreedyV2.name;
