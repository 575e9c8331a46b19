import { type Assignment, assign, assignOne } from './assignment.ts';
import { type BanditDraw, type BanditEpoch, drawArm } from './bandit.ts';
import { type Choice, choosesAny, type Experiment, type ExperimentSet } from './experiment.ts';

export type Assigned = Extract<Assignment, { kind: 'assigned' }>;
export type Enrolled = Extract<Assignment, { kind: 'enrolled' }>;
export type Forced = Extract<Assignment, { kind: 'forced' }>;

/** What the experiments of a moment do to a person. */
export interface Treatment {
  /** Undefined: as without experiments. */
  readonly policy: string | undefined;
  readonly promptVersion: string | undefined;
  /** Drawn, and treated as the arm says: what experiments are compared over. */
  readonly assigned: readonly (Assigned | BanditDraw)[];
  /** Whose arm a bandit has yet to draw. */
  readonly enrolled: readonly Enrolled[];
  readonly forced: readonly Forced[];
}

/**
 * Whoever was forced into an arm gets what that arm chooses. An experiment that would have drawn a choice of the same kind
 * for them is left out: it cannot have an effect on them. Of several forced arms the first by key wins.
 */
export function treat(set: ExperimentSet, userId: string, nowMs: number): Treatment {
  const assignments = assign(set, userId, nowMs);
  const forced = assignments.filter((each) => each.kind === 'forced');
  const taken = choices.filter((choice) => forced.some(({ experiment }) => choosesAny(experiment, choice)));
  const isFree = ({ experiment }: Assignment) => !taken.some((choice) => choosesAny(experiment, choice));
  return withChoices({
    assigned: assignments.filter((each) => each.kind === 'assigned').filter(isFree),
    enrolled: assignments.filter((each) => each.kind === 'enrolled').filter(isFree),
    forced,
  });
}

/** The same once bandits have drawn their arms for a request that can do what these choose. */
export function withBandits(
  treatment: Treatment,
  requestId: string,
  epochOf: (experiment: Experiment) => BanditEpoch,
): Treatment {
  const { assigned, enrolled, forced } = treatment;
  if (enrolled.length === 0) return treatment;
  const drawn = enrolled.map(({ experiment }) => drawArm(experiment, epochOf(experiment), requestId));
  return withChoices({ assigned: [...assigned, ...drawn], enrolled: [], forced });
}

/** The same with a canary, for whoever is in no experiment that chooses policies. */
export function withCanary(treatment: Treatment, canary: Experiment, userId: string, nowMs: number): Treatment {
  const { assigned, enrolled, forced } = treatment;
  if ([...assigned, ...forced].some(({ experiment }) => choosesAny(experiment, 'policy'))) return treatment;
  const drawn = assignOne(canary, [], userId, nowMs);
  return drawn.kind === 'assigned' ? withChoices({ assigned: [...assigned, drawn], enrolled, forced }) : treatment;
}

/** What is left of a treatment where somebody else has made one of its choices. */
export function without({ assigned, enrolled, forced }: Treatment, choice: Choice): Treatment {
  const isLeft = ({ experiment }: { readonly experiment: Experiment }) => !choosesAny(experiment, choice);
  return withChoices({
    assigned: assigned.filter(isLeft),
    enrolled: enrolled.filter(isLeft),
    forced: forced.filter(isLeft),
  });
}

const choices: readonly Choice[] = ['policy', 'promptVersion'];

function withChoices(groups: Omit<Treatment, Choice>): Treatment {
  const arms = [...groups.forced, ...groups.assigned].map(({ arm }) => arm);
  const chosen = (choice: Choice) => arms.find((arm) => arm[choice] !== undefined)?.[choice];
  return { ...groups, policy: chosen('policy'), promptVersion: chosen('promptVersion') };
}
