import {
  foldRollouts,
  moveRollout,
  type Refusal,
  type RolloutCommand,
  type RolloutStep,
  type Rollouts,
  type Subject,
} from './rollout.ts';
import type { RolloutStore } from './rollout-store.ts';

export type RolledBack =
  | { readonly kind: 'appended'; readonly steps: readonly RolloutStep[] }
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly number: number }
  | { readonly kind: 'busy' };

/** Whoever rolls back must not lose against others who take steps at the same time. */
const attempts = 10;

/**
 * Takes a policy away from all people, wherever others have taken the log meanwhile. `find` names it, given where rollouts
 * stand by then. Errors are those of the database, and of `find`.
 */
export async function rollBack(
  store: Pick<RolloutStore, 'readSteps' | 'append'>,
  find: (rollouts: Rollouts) => Subject,
  by: Pick<RolloutStep, 'atMs' | 'actor' | 'caller' | 'reason' | 'verdict'> & Pick<RolloutCommand, 'canServe'>,
): Promise<RolledBack> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const before = foldRollouts((await store.readSteps(0)) ?? []);
    const { policy, version } = find(before);
    const moved = moveRollout(before, { policy, version, to: 'rolled_back', expectedNumber: undefined, ...by });
    if (moved.kind === 'refused') return { ...moved, number: before.number };
    if (await store.append(moved.steps)) return moved;
  }
  return { kind: 'busy' };
}
