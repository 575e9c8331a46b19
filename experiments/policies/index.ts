import { egreedyV2 } from './egreedy-v2.ts';
import type { Policy } from './policy.ts';
import { random } from './random.ts';

/** The policies that can decide, by name. */
export const policies: ReadonlyMap<string, Policy> = new Map(
  [random, egreedyV2].map((policy) => [policy.name, policy]),
);

export const defaultPolicy = egreedyV2.name;
