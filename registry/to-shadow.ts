import { unavailable } from '../platform/errors.ts';
import {
  foldRollouts,
  moveRollout,
  type Refusal,
  type RolloutStep,
  type Stage,
  type Subject,
  standingOf,
} from './rollout.ts';
import type { RolloutStore } from './rollout-store.ts';

export type Shadowed =
  | { readonly kind: 'stands'; readonly stage: Stage }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** Others who take steps at the same time come first so often, and no more. */
const attempts = 10;

/**
 * Brings a policy into the shadow, over every step on the way there. One that went on from there already, or was taken away,
 * stays where it is: whoever did that knew why. Errors are those of the database, and `unavailable`.
 */
export async function toShadow(
  store: Pick<RolloutStore, 'readSteps' | 'append'>,
  subject: Subject,
  by: Pick<RolloutStep, 'atMs' | 'actor' | 'caller' | 'reason'>,
): Promise<Shadowed> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const rollouts = foldRollouts((await store.readSteps(0)) ?? []);
    const stage = standingOf(rollouts, subject)?.stage;
    if (stage !== undefined && stage !== 'registered') return { kind: 'stands', stage };
    const to = stage === undefined ? 'registered' : 'shadow';
    const moved = moveRollout(rollouts, { ...subject, ...by, to, expectedNumber: rollouts.number });
    if (moved.kind === 'refused') return moved;
    if ((await store.append(moved.steps)) && to === 'shadow') return { kind: 'stands', stage: to };
  }
  throw unavailable('ROLLOUTS_BUSY', 'others take rollout steps all the time; try again');
}
