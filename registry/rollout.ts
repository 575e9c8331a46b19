// A policy's way to users, as records that are only ever appended. Where it stands is the fold over them. Pure: who
// stores a record makes sure that no two follow the same one, by a unique key on (subject, previousId).
//
//   registered → shadow → canary 1, 5, 10, 25, 50 % → active → retired
//                   ↑        └──────────┴─ rolled_back
//                   └───────────────────────────┘

export type Stage = 'registered' | 'shadow' | 'canary' | 'active' | 'rolled_back' | 'retired';

/** The per cent of people that a canary serves, in the order of its steps. */
export const canarySteps = [1, 5, 10, 25, 50] as const;

/** What the gate said, as it is kept. The gate's own verdict has this shape; nothing here depends on the gate. */
export interface StoredVerdict {
  readonly subject: string;
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

export interface RolloutRecord {
  readonly id: string;
  /** Undefined: the first. */
  readonly previousId: string | undefined;
  /** The policy and the version of what it learnt. */
  readonly subject: string;
  readonly atMs: number;
  /** Who did it. */
  readonly by: string;
  /** Undefined: the first. */
  readonly from: Stage | undefined;
  readonly to: Stage;
  /** The share of people that it serves from then on. */
  readonly percent: number;
  /** Of every step towards more people. */
  readonly verdict?: StoredVerdict;
  /** Why it went on although the verdict was not PASS. */
  readonly overrideReason?: string;
  /** Whatever else is worth keeping, for example why it was rolled back. */
  readonly note?: string;
}

/** A transition that is asked for: a record without what follows from those before it. */
export interface RolloutCommand {
  readonly id: string;
  /** The last record that whoever asks has seen. Undefined: none. */
  readonly expectedPreviousId: string | undefined;
  readonly subject: string;
  readonly atMs: number;
  readonly by: string;
  readonly to: Stage;
  /** Of a canary: one of its steps. */
  readonly percent?: number;
  readonly verdict?: StoredVerdict;
  readonly overrideReason?: string;
  readonly note?: string;
}

export interface RolloutState {
  /** Undefined: not registered. */
  readonly stage: Stage | undefined;
  readonly percent: number;
  /** When it came to this stage, or to this step of the canary. */
  readonly sinceMs: number | undefined;
  readonly lastId: string | undefined;
  /** Overrides since it last came into the shadow: the reasons why it is further than the gate let it. */
  readonly overrides: readonly string[];
}

export interface RolloutRules {
  /** How long it must be in the shadow, at least, before it serves anyone. Nothing overrides this. */
  readonly minShadowMs: number;
}

export const rolloutRules: RolloutRules = { minShadowMs: 24 * 3_600_000 };

export type RefusalReason =
  | 'WHO_MISSING'
  | 'ID_TAKEN'
  | 'OTHER_SUBJECT'
  | 'CHANGED_MEANWHILE'
  | 'ILLEGAL_TRANSITION'
  | 'SHADOW_TOO_SHORT'
  | 'VERDICT_MISSING'
  | 'VERDICT_OF_ANOTHER'
  | 'VERDICT_TOO_OLD'
  | 'VERDICT_BLOCKS'
  | 'OVERRIDE_WITHOUT_NEED';

export interface Refusal {
  readonly reason: RefusalReason;
  readonly message: string;
}

export type Transition =
  | { readonly kind: 'appended'; readonly record: RolloutRecord }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** Where the records of one subject lead to. Throws if they are no chain, as then a store has lost or forged one. */
export function stateOf(history: readonly RolloutRecord[]): RolloutState {
  return history.reduce(next, nowhere);
}

const nowhere: RolloutState = {
  stage: undefined,
  percent: 0,
  sinceMs: undefined,
  lastId: undefined,
  overrides: [],
};

function next(state: RolloutState, record: RolloutRecord): RolloutState {
  if (record.previousId !== state.lastId || record.from !== state.stage)
    throw new Error(`rollout record ${record.id} does not follow ${state.lastId}`);
  const earlier = record.to === 'shadow' ? [] : state.overrides;
  return {
    stage: record.to,
    percent: record.percent,
    sinceMs: record.atMs,
    lastId: record.id,
    overrides: record.overrideReason === undefined ? earlier : [...earlier, record.overrideReason],
  };
}

/** The record that a command appends to the history of its subject, or why it does not. */
export function transition(
  history: readonly RolloutRecord[],
  command: RolloutCommand,
  rules: RolloutRules = rolloutRules,
): Transition {
  const state = stateOf(history);
  const refusal = refusalOf(history, state, command, rules);
  if (refusal) return { kind: 'refused', refusal };
  const { id, subject, atMs, by, to, verdict, overrideReason, note } = command;
  return {
    kind: 'appended',
    record: {
      ...{ id, previousId: state.lastId, subject, atMs, by, from: state.stage, to },
      percent: to === 'canary' ? (command.percent ?? 0) : to === 'active' ? 100 : 0,
      ...(verdict && { verdict }),
      ...(overrideReason !== undefined && { overrideReason }),
      ...(note !== undefined && { note }),
    },
  };
}

function refusalOf(
  history: readonly RolloutRecord[],
  state: RolloutState,
  command: RolloutCommand,
  rules: RolloutRules,
): Refusal | undefined {
  const { id, expectedPreviousId, subject, by, to, atMs, overrideReason } = command;
  if (by.trim() === '') return refuse('WHO_MISSING', 'a transition needs someone who answers for it');
  if (history.some((record) => record.subject !== subject))
    return refuse('OTHER_SUBJECT', `the history is not that of ${subject}`);
  if (history.some((record) => record.id === id)) return refuse('ID_TAKEN', `${id} is a record already`);
  if (expectedPreviousId !== state.lastId)
    return refuse(
      'CHANGED_MEANWHILE',
      `the last record is ${state.lastId ?? 'none'}, not ${expectedPreviousId ?? 'none'}`,
    );
  const step = stepOf(state, command);
  if (step === 'illegal')
    return refuse(
      'ILLEGAL_TRANSITION',
      `${nameOf(state.stage, state.percent)} does not lead to ${nameOf(to, command.percent)}`,
    );
  if (state.stage === 'shadow' && step === 'up' && !(atMs - (state.sinceMs ?? atMs) >= rules.minShadowMs))
    return refuse('SHADOW_TOO_SHORT', `it must be in the shadow for ${rules.minShadowMs} ms before it serves anyone`);
  if (step === 'up') return refusedByVerdict(state, command);
  return overrideReason === undefined
    ? undefined
    : refuse('OVERRIDE_WITHOUT_NEED', 'this transition needs no verdict, so there is nothing to override');
}

/** `up`: it will serve more people than before, so a verdict is needed. */
type Step = 'up' | 'free' | 'illegal';

/** The one place where the way to users is drawn. */
function stepOf({ stage, percent }: RolloutState, { to, percent: asked }: RolloutCommand): Step {
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
    case 'active':
      return to === 'rolled_back' || to === 'retired' ? 'free' : 'illegal';
    case 'retired':
      return 'illegal';
  }
}

function refusedByVerdict(state: RolloutState, command: RolloutCommand): Refusal | undefined {
  const { verdict, subject, overrideReason } = command;
  const overridden = overrideReason !== undefined && overrideReason.trim() !== '';
  // an override needs one too: whoever goes on against the gate is to have read what it says
  if (!verdict) return refuse('VERDICT_MISSING', 'a step towards more people needs a verdict of the gate');
  if (verdict.subject !== subject) return refuse('VERDICT_OF_ANOTHER', `the verdict is about ${verdict.subject}`);
  if (!(verdict.judgedAtMs >= (state.sinceMs ?? 0)))
    return refuse('VERDICT_TOO_OLD', 'the verdict says nothing of the stage that it should end');
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

const nameOf = (stage: Stage | undefined, percent: number | undefined): string =>
  stage === undefined ? 'nothing' : stage === 'canary' ? `canary ${percent ?? '?'} %` : stage;
