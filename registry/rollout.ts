// The way of policies to people: steps in one log that is only ever appended to. Where each policy stands is the fold over
// them. Pure: who stores steps makes sure that no two have the same number.
//
//   registered → shadow → canary 1, 5, 10, 25, 50 % → active → retired
//                   ↑        └──────────┴─ rolled_back
//                   └───────────────────────────┘

import type { FieldViolation } from '../platform/errors.ts';

export type Stage = 'registered' | 'shadow' | 'canary' | 'active' | 'rolled_back' | 'retired';

/** The per cent of people that a canary serves, in the order of its steps. */
export const canarySteps = [1, 5, 10, 25, 50] as const;

/** What a rollout is of: a policy with all its hyperparameters. Another version has to go the whole way again. */
export interface Subject {
  readonly policy: string;
  readonly version: string;
}

/** What the gate said, as it is kept. The gate's own verdict has this shape; nothing here depends on the gate. */
export interface StoredVerdict {
  readonly subject: string;
  /** Number of the step that the subject had come to. */
  readonly step: number;
  readonly judgedAtMs: number;
  readonly limitsVersion: string;
  readonly status: 'PASS' | 'FAIL' | 'INSUFFICIENT';
  readonly criteria: readonly {
    readonly criterion: string;
    readonly status: 'PASS' | 'FAIL' | 'INSUFFICIENT';
    readonly numbers: Readonly<Record<string, number>>;
    readonly limit: number;
    readonly sentence: string;
  }[];
}

export interface RolloutStep extends Subject {
  /** Counted from 1, over all policies, without gaps. */
  readonly number: number;
  readonly atMs: number;
  /** Who says to have taken it, and with which key. */
  readonly actor: string;
  readonly caller: string;
  /** Undefined: the first of its policy. */
  readonly from: Stage | undefined;
  readonly to: Stage;
  /** The share of people that it serves from then on. */
  readonly percent: number;
  readonly reason: string;
  /** Of a step into the shadow: why it is meant to decide otherwise than the active policy. */
  readonly expectedDivergence?: string | undefined;
  /** Of every step towards more people. */
  readonly verdict?: StoredVerdict | undefined;
  /** Of every step towards more people: the card that people could read then. */
  readonly cardHash?: string | undefined;
  /** Why it went on although the verdict was not PASS. */
  readonly overrideReason?: string | undefined;
  /** The step of another policy that brought this one with it: one becomes active, and the other retires. */
  readonly causeNumber?: number | undefined;
}

/** Where a policy stands. */
export interface Standing extends Subject {
  readonly stage: Stage;
  readonly percent: number;
  /** When it came to this stage, or to this step of the canary, and the number of that step. */
  readonly sinceMs: number;
  readonly number: number;
  /** When it left the shadow for people, the last time. Undefined: it serves nobody. */
  readonly servesSinceMs: number | undefined;
  /** Number of the step that last made it active. Undefined: it never was, or was rolled back since. */
  readonly activeNumber: number | undefined;
  /** Overrides since it last came into the shadow: the reasons why it is further than the gate let it. */
  readonly overrides: readonly string[];
  readonly expectedDivergence: { readonly by: string; readonly reason: string } | undefined;
}

export interface Rollouts {
  /** Of the last step. 0: there is none. */
  readonly number: number;
  /** In the order of their first steps. */
  readonly standings: readonly Standing[];
}

/** What is asked for: a step without what follows from those before it. */
export interface RolloutCommand
  extends Subject,
    Pick<
      RolloutStep,
      'atMs' | 'actor' | 'caller' | 'to' | 'reason' | 'verdict' | 'overrideReason' | 'expectedDivergence'
    > {
  /** Of a canary: one of its steps. */
  readonly percent?: number | undefined;
  /** The number of the last step that whoever asks has seen. Undefined: whichever it is. */
  readonly expectedNumber: number | undefined;
  /** What is known of its card. Undefined: it has none, or no step towards more people is asked for. */
  readonly card?: CardState | undefined;
  /** What can come back in the place of one that is rolled back: what servers have. Default: everything. */
  readonly canServe?: ((subject: Subject) => boolean) | undefined;
}

/** What a card says of itself. Nothing here depends on what is on it. */
export type CardState =
  | { readonly kind: 'complete'; readonly hash: string }
  | { readonly kind: 'incomplete'; readonly problems: readonly FieldViolation[] };

export interface RolloutRules {
  /** How long it must be in the shadow, at least, before it serves anyone. Nothing overrides this. */
  readonly minShadowMs: number;
  /** A verdict that is older says too little of today. */
  readonly maxVerdictAgeMs: number;
}

const hourMs = 3_600_000;

export const rolloutRules: RolloutRules = { minShadowMs: 24 * hourMs, maxVerdictAgeMs: 24 * hourMs };

export type RefusalReason =
  | 'NOT_BEGUN'
  | 'ACTOR_MISSING'
  | 'CHANGED_MEANWHILE'
  | 'ILLEGAL_TRANSITION'
  | 'ANOTHER_CANARY'
  | 'NOTHING_BEFORE'
  | 'SHADOW_TOO_SHORT'
  | 'CARD_MISSING'
  | 'CARD_INCOMPLETE'
  | 'VERDICT_MISSING'
  | 'VERDICT_OF_ANOTHER'
  | 'VERDICT_TOO_OLD'
  | 'VERDICT_BLOCKS'
  | 'OVERRIDE_WITHOUT_NEED'
  | 'DIVERGENCE_WITHOUT_NEED';

export interface Refusal {
  readonly reason: RefusalReason;
  readonly message: string;
  /** Of a card: all that it lacks, by field. */
  readonly problems?: readonly FieldViolation[];
}

export type Transition =
  | { readonly kind: 'appended'; readonly steps: readonly RolloutStep[] }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

const noRollouts: Rollouts = { number: 0, standings: [] };

/** Where the steps lead to. Throws if one does not follow from those before it: then a store has lost or forged one. */
export function foldRollouts(steps: readonly RolloutStep[], from: Rollouts = noRollouts): Rollouts {
  return steps.reduce(next, from);
}

function next({ number, standings }: Rollouts, step: RolloutStep): Rollouts {
  const before = standings.find((each) => isSame(each, step));
  if (step.number !== number + 1 || step.from !== before?.stage)
    throw new Error(`rollout step ${step.number} does not follow step ${number}`);
  const { policy, version, to, percent, atMs, actor, overrideReason, expectedDivergence } = step;
  const inShadow = to === 'shadow';
  const earlier = inShadow ? [] : (before?.overrides ?? []);
  const standing: Standing = {
    ...{ policy, version, stage: to, percent, sinceMs: atMs, number: step.number },
    servesSinceMs: percent > 0 ? (before?.servesSinceMs ?? atMs) : undefined,
    activeNumber: to === 'active' ? step.number : to === 'rolled_back' ? undefined : before?.activeNumber,
    overrides: overrideReason === undefined ? earlier : [...earlier, overrideReason],
    expectedDivergence: inShadow ? explainedBy(actor, expectedDivergence) : before?.expectedDivergence,
  };
  return {
    number: step.number,
    standings: before ? standings.map((each) => (each === before ? standing : each)) : [...standings, standing],
  };
}

const explainedBy = (by: string, reason: string | undefined) => (reason === undefined ? undefined : { by, reason });

const isSame = (a: Subject, b: Subject): boolean => a.policy === b.policy && a.version === b.version;

export const subjectName = ({ policy, version }: Subject): string => `${policy} ${version}`;

export const standingOf = ({ standings }: Rollouts, subject: Subject): Standing | undefined =>
  standings.find((each) => isSame(each, subject));

export const servesPeople = ({ stage }: Standing): boolean => stage === 'active' || stage === 'canary';

/** Who decides about people, and who is asked beside them. */
export interface Serving {
  /** Undefined: there is no step yet. */
  readonly active: Standing | undefined;
  readonly canary: Standing | undefined;
  readonly shadows: readonly Standing[];
  /** Who may decide about people, for example in an arm of an experiment: whoever left the shadow and was not rolled back. */
  readonly cleared: readonly Standing[];
}

export function servingOf({ standings }: Rollouts): Serving {
  const at = (stage: Stage) => standings.filter((each) => each.stage === stage);
  return {
    active: at('active')[0],
    canary: at('canary')[0],
    shadows: at('shadow'),
    cleared: standings.filter(
      (each) => servesPeople(each) || (each.stage === 'retired' && each.activeNumber !== undefined),
    ),
  };
}

/** The first step of all: what decides about people before anything was rolled out, since something has to. */
export function firstStep(
  subject: Subject,
  by: Pick<RolloutStep, 'atMs' | 'actor' | 'caller' | 'reason'>,
): RolloutStep {
  const { policy, version } = subject;
  return { number: 1, policy, version, from: undefined, to: 'active', percent: 100, ...by };
}

/**
 * The steps that a command appends, or why it does not. Whoever becomes active retires whoever was; whoever is rolled back
 * from there makes way for the one before.
 */
export function moveRollout(
  rollouts: Rollouts,
  command: RolloutCommand,
  rules: RolloutRules = rolloutRules,
): Transition {
  const standing = standingOf(rollouts, command);
  const refusal = refusalOf(rollouts, standing, command, rules);
  if (refusal) return { kind: 'refused', refusal };
  const { policy, version, atMs, actor, caller, to, reason, verdict, overrideReason, expectedDivergence } = command;
  const { card } = command;
  const number = rollouts.number + 1;
  const step: RolloutStep = {
    ...{ number, policy, version, atMs, actor, caller, from: standing?.stage, to, reason },
    percent: to === 'canary' ? (command.percent ?? 0) : to === 'active' ? 100 : 0,
    ...{ verdict, overrideReason, expectedDivergence },
    ...(card?.kind === 'complete' && kindOf(standing, command) === 'up' && { cardHash: card.hash }),
  };
  const brought = broughtAlong(rollouts, standing, command);
  return { kind: 'appended', steps: brought ? [step, { ...brought, ...follows(step) }] : [step] };
}

const follows = ({ number, atMs, actor, caller, reason }: RolloutStep) => ({
  ...{ number: number + 1, causeNumber: number, atMs, actor, caller, reason },
});

type Brought = Pick<RolloutStep, 'policy' | 'version' | 'from' | 'to' | 'percent'>;

function broughtAlong(
  rollouts: Rollouts,
  standing: Standing | undefined,
  { to, canServe }: RolloutCommand,
): Brought | undefined {
  const { active } = servingOf(rollouts);
  if (to === 'active' && active) return brought(active, 'retired', 0);
  if (to !== 'rolled_back' || !standing || standing.stage !== 'active') return undefined;
  const earlier = beforeIt(rollouts, standing, canServe);
  return earlier && brought(earlier, 'active', 100);
}

const brought = ({ policy, version, stage }: Standing, to: Stage, percent: number): Brought => ({
  ...{ policy, version, from: stage, to, percent },
});

/** Whoever was active last before this one, and was not rolled back. */
function beforeIt(
  { standings }: Rollouts,
  standing: Standing,
  canServe: RolloutCommand['canServe'] = () => true,
): Standing | undefined {
  return standings
    .filter((each) => each !== standing && each.activeNumber !== undefined && canServe(each))
    .toSorted((a, b) => (b.activeNumber ?? 0) - (a.activeNumber ?? 0))[0];
}

function refusalOf(
  rollouts: Rollouts,
  standing: Standing | undefined,
  command: RolloutCommand,
  rules: RolloutRules,
): Refusal | undefined {
  const { expectedNumber, actor, to, atMs, overrideReason, expectedDivergence } = command;
  if (rollouts.number === 0) return refuse('NOT_BEGUN', 'no policy is active yet: a server has to start first');
  if (actor.trim() === '') return refuse('ACTOR_MISSING', 'a step needs someone who answers for it');
  if (expectedNumber !== undefined && expectedNumber !== rollouts.number)
    return refuse('CHANGED_MEANWHILE', `the last step is ${rollouts.number}, not ${expectedNumber}`);
  const kind = kindOf(standing, command);
  if (kind === 'illegal') return refuse('ILLEGAL_TRANSITION', illegal(standing, command));
  const { canary } = servingOf(rollouts);
  if (to === 'canary' && canary && canary !== standing)
    return refuse('ANOTHER_CANARY', `${canary.policy} is a canary: one at a time is compared with the active policy`);
  if (to === 'rolled_back' && standing?.stage === 'active' && !beforeIt(rollouts, standing, command.canServe))
    return refuse(
      'NOTHING_BEFORE',
      'no policy that servers still have was active before, so none could take its place',
    );
  if (expectedDivergence !== undefined && to !== 'shadow')
    return refuse('DIVERGENCE_WITHOUT_NEED', 'only a step into the shadow says why it will decide otherwise');
  if (standing?.stage === 'shadow' && kind === 'up' && !(atMs - standing.sinceMs >= rules.minShadowMs))
    return refuse(
      'SHADOW_TOO_SHORT',
      `it must be in the shadow for ${rules.minShadowMs / hourMs} hours before it serves anyone`,
    );
  if (standing && kind === 'up') return refusedByCard(command) ?? refusedByVerdict(standing, command, rules);
  return overrideReason === undefined
    ? undefined
    : refuse('OVERRIDE_WITHOUT_NEED', 'this step needs no verdict, so there is nothing to override');
}

/** `up`: it will serve more people than before, so a verdict is needed. */
type Kind = 'up' | 'free' | 'illegal';

/** The one place where the way to people is drawn. */
function kindOf(standing: Standing | undefined, { to, percent: asked }: RolloutCommand): Kind {
  const { stage, percent = 0 } = standing ?? {};
  const steps: readonly (number | undefined)[] = canarySteps;
  const isNext = steps.includes(asked) && steps.indexOf(asked) === steps.indexOf(percent) + 1;
  if (asked !== undefined && to !== 'canary') return 'illegal';
  switch (stage) {
    case undefined:
      return to === 'registered' ? 'free' : 'illegal';
    case 'registered':
    case 'rolled_back':
      return to === 'shadow' || to === 'retired' ? 'free' : 'illegal';
    case 'shadow':
      if (to === 'canary' && isNext) return 'up';
      return to === 'retired' ? 'free' : 'illegal';
    case 'canary':
      if (to === 'canary' && isNext) return 'up';
      if (to === 'canary' && steps.includes(asked) && (asked ?? 0) < percent) return 'free';
      if (to === 'active' && percent === canarySteps.at(-1)) return 'up';
      return to === 'rolled_back' ? 'free' : 'illegal';
    case 'active': // retired by whoever takes its place
      return to === 'rolled_back' ? 'free' : 'illegal';
    case 'retired':
      return to === 'shadow' ? 'free' : 'illegal';
  }
}

const problemsSaid = 3;

/** No override lifts this: whoever answers for a step must be able to read what it brings to people. */
function refusedByCard({ card }: RolloutCommand): Refusal | undefined {
  if (!card) return refuse('CARD_MISSING', 'it has no model card: make one before it serves anyone');
  if (card.kind === 'complete') return undefined;
  const said = card.problems.slice(0, problemsSaid).map(({ field, description }) => `${field} ${description}`);
  const more = card.problems.length - said.length;
  const rest = more > 0 ? `; and ${more} more` : '';
  const message = `its model card is not complete, so make another one: ${said.join('; ')}${rest}`;
  return { ...refuse('CARD_INCOMPLETE', message), problems: card.problems };
}

function refusedByVerdict(standing: Standing, command: RolloutCommand, rules: RolloutRules): Refusal | undefined {
  const { verdict, atMs, overrideReason } = command;
  const overridden = overrideReason !== undefined && overrideReason.trim() !== '';
  // an override needs one too: whoever goes on against the gate is to have read what it says
  if (!verdict) return refuse('VERDICT_MISSING', 'a step towards more people needs a verdict of the gate');
  if (verdict.subject !== subjectName(command))
    return refuse('VERDICT_OF_ANOTHER', `the verdict is about ${verdict.subject}`);
  if (verdict.step !== standing.number)
    return refuse('VERDICT_TOO_OLD', 'the gate was last asked before the policy came to this stage');
  if (!(atMs - verdict.judgedAtMs <= rules.maxVerdictAgeMs))
    return refuse('VERDICT_TOO_OLD', `the verdict is more than ${rules.maxVerdictAgeMs / hourMs} hours old`);
  // believed only if its own criteria bear it out
  const passes = verdict.status === 'PASS' && verdict.criteria.length > 0;
  if (passes && verdict.criteria.every(({ status }) => status === 'PASS')) {
    return overrideReason === undefined
      ? undefined
      : refuse('OVERRIDE_WITHOUT_NEED', 'the verdict is PASS, so there is nothing to override');
  }
  return overridden
    ? undefined
    : refuse('VERDICT_BLOCKS', `the verdict is ${verdict.status}; an override needs a reason`);
}

const refuse = (reason: RefusalReason, message: string): Refusal => ({ reason, message });

function illegal(standing: Standing | undefined, { to, percent }: RolloutCommand): string {
  if (!standing) return 'a policy that took no step yet can only be registered';
  return `${placeName(standing.stage, standing.percent)} does not lead to ${placeName(to, percent)}`;
}

const placeName = (stage: Stage, percent: number | undefined): string =>
  stage === 'canary' ? `canary ${percent ?? '?'} %` : stage.replace('_', ' ');
