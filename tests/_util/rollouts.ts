import { policies } from '../../experiments/policies/index.ts';
import type { Policy } from '../../experiments/policies/policy.ts';
import type { Database } from '../../platform/database.ts';
import { createCardStore } from '../../registry/card-store.ts';
import {
  canarySteps,
  foldRollouts,
  moveRollout,
  type RolloutStep,
  type Rollouts,
  type Stage,
  type StoredVerdict,
  servingOf,
  standingOf,
  subjectName,
} from '../../registry/rollout.ts';
import { createRolloutStore } from '../../registry/rollout-store.ts';
import { waitFor } from '../../scripts/demo/wait-for.ts';
import { policyCardOf } from './cards.ts';

export type Place = Exclude<Stage, 'canary'> | `canary ${number}`;

const ladder: readonly Place[] = [
  'registered',
  'shadow',
  ...canarySteps.map((percent): Place => `canary ${percent}`),
  'active',
];

/** The whole way up to a place. */
export const wayTo = (place: Place): readonly Place[] => ladder.slice(0, ladder.indexOf(place) + 1);

const dayMs = 86_400_000;

/** Takes the steps of a policy by the rules, as if it had a card and the gate had passed it: each a day after the one before. */
export async function takeSteps(
  database: Database,
  policy: Pick<Policy, 'name' | 'version'>,
  places: readonly Place[],
  firstMs = Date.now() - 30 * dayMs,
): Promise<Rollouts> {
  const store = createRolloutStore(database);
  let rollouts = foldRollouts((await store.readSteps(0)) ?? []);
  for (const [i, place] of places.entries()) {
    const [to, percent] = place.split(' ') as [Stage, string?];
    const subject = { policy: policy.name, version: policy.version };
    const atMs = firstMs + i * dayMs;
    const steps = stepsOf(rollouts, { subject, atMs, to, percent });
    if (!(await store.append(steps))) throw new Error('somebody else takes steps');
    rollouts = foldRollouts(steps, rollouts);
  }
  return rollouts;
}

function stepsOf(
  rollouts: Rollouts,
  {
    subject,
    atMs,
    to,
    percent,
  }: { subject: { policy: string; version: string }; atMs: number; to: Stage; percent?: string | undefined },
): readonly RolloutStep[] {
  const needsVerdict = to === 'canary' || to === 'active';
  const verdict: StoredVerdict = {
    ...{
      subject: subjectName(subject),
      step: standingOf(rollouts, subject)?.number ?? 0,
      judgedAtMs: atMs,
      limitsVersion: 'test',
      status: 'PASS',
    },
    criteria: [{ criterion: 'test', status: 'PASS', numbers: {}, limit: 0, sentence: 'For a test.' }],
  };
  const moved = moveRollout(rollouts, {
    ...{ ...subject, atMs, to, actor: 'test', caller: 'test', reason: 'test', expectedNumber: undefined },
    ...(percent !== undefined && { percent: Number(percent) }),
    ...(needsVerdict && { verdict, card: { kind: 'complete', hash: 'c'.repeat(64) } }),
  });
  if (moved.kind === 'refused') throw new Error(moved.refusal.message);
  return moved.steps;
}

/** Gives policies cards on which nothing is missing. */
export async function putCards(
  database: Database,
  policies: readonly Pick<Policy, 'name' | 'version'>[],
): Promise<void> {
  const store = createCardStore(database);
  for (const { name, version } of policies) {
    const subject = { policy: name, version };
    await store.put({ subject, card: policyCardOf(subject), actor: 'test', atMs: Date.now() });
  }
}

/** Lets the gate have passed policies, so that experiments may choose them. Whoever is active stays it. */
export async function clearPolicies(database: Database, names: readonly string[]): Promise<void> {
  await waitFor('a server to begin', async () => (await createRolloutStore(database).readSteps(0)) !== undefined);
  const { active, cleared } = servingOf(foldRollouts((await createRolloutStore(database).readSteps(0)) ?? []));
  const known = (name: string | undefined) => policies.get(name ?? '');
  const missing = names.filter((name) => !cleared.some(({ policy }) => policy === name));
  for (const name of missing) {
    const policy = known(name);
    if (policy) await takeSteps(database, policy, ladder);
  }
  const before = known(active?.policy);
  if (before && missing.length > 0) await takeSteps(database, before, ladder.slice(1));
}
