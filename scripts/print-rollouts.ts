import { timestampMs } from '@bufbuild/protobuf/wkt';
import {
  type GateCriterion,
  GateStatus,
  type GateVerdict,
  type ListPoliciesResponse,
  type PolicyStanding,
  type Rollout,
  RolloutStage,
} from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { rolloutRules } from '../registry/rollout.ts';
import { bold, dim, heading, say, table } from './demo/print.ts';
import { ago, printable } from './plain-words.ts';
import { isTowardsPeople, nextPlace, placeName, placeOf } from './rollout-steps.ts';

/** Where every policy stands. */
export function printPolicies({ policies }: Pick<ListPoliciesResponse, 'policies'>, nowMs: number): void {
  say(`   ${whoDecides(policies)}  ${dim('Experiments that choose policies come first.')}`);
  say();
  table(
    ['policy', 'stage', 'since', 'the gate'],
    policies.map((policy) => policyCells(policy, policies, nowMs)),
  );
  const notes = policies.flatMap(notesOf);
  if (notes.length > 0) say();
  for (const note of notes) printText(note, '   ');
  say();
  say(dim('   npm run rollout -- show POLICY: why the gate says so, and every step'));
}

export function whoDecides(policies: readonly PolicyStanding[]): string {
  const at = (stage: RolloutStage) => policies.find((policy) => policy.stage === stage);
  const [active, canary] = [at(RolloutStage.ACTIVE), at(RolloutStage.CANARY)];
  if (!active) return 'No policy is active yet.';
  if (!canary) return `${clean(active.policy)} decides about everybody.`;
  const { policy, trafficPercent } = canary;
  return `${clean(active.policy)} decides, but about ${trafficPercent} % of people ${clean(policy)} does.`;
}

export function policyCells(
  policy: PolicyStanding,
  all: readonly PolicyStanding[],
  nowMs: number,
): readonly [string, string, string, string] {
  const isOneOfSeveral = all.some((other) => other !== policy && other.policy === policy.policy);
  const version = isOneOfSeveral || !policy.servedHere ? ` ${clean(policy.policyVersion)}` : '';
  const mark = policy.overrides.length > 0 ? ' (!)' : '';
  const since = policy.since ? sinceWords(timestampMs(policy.since), nowMs) : '–';
  return [`${clean(policy.policy)}${version}`, `${placeName(placeOf(policy))}${mark}`, since, gateWords(policy, nowMs)];
}

/** What the gate says, and whether that still counts for a step. */
export function gateWords({ verdict, stage, number }: PolicyStanding, nowMs: number): string {
  const isJudged = stage === RolloutStage.SHADOW || stage === RolloutStage.CANARY;
  if (!verdict?.judgedAt) return isJudged ? 'was not asked yet' : '';
  const judgedMs = timestampMs(verdict.judgedAt);
  const age = Math.max(0, nowMs - judgedMs);
  const said = `${statusName(verdict.status)}, ${ago(age)} old`;
  if (!isJudged) return said;
  if (verdict.step < number) return `${said}: of the stage before`;
  return age > rolloutRules.maxVerdictAgeMs ? `${said}: too old to count` : said;
}

function notesOf({ policy, policyVersion, stage, overrides, servedHere }: PolicyStanding): readonly string[] {
  const name = clean(policy);
  const against = overrides.map((reason) => `(!) ${name} went on against the gate: “${clean(reason)}”`);
  const isGone = !servedHere && stage !== RolloutStage.RETIRED && stage !== RolloutStage.ROLLED_BACK;
  return isGone ? [...against, `${name} ${clean(policyVersion)} is not in the build of this server.`] : against;
}

/** One policy, in one version: where it stands, and what the gate says of it. */
export function printPolicy(policy: PolicyStanding, nowMs: number): void {
  heading(`${clean(policy.policy)} ${dim(clean(policy.policyVersion))}`);
  for (const line of standingLines(policy, nowMs)) printText(line, '   ');
  if (policy.verdict) printVerdict(policy, policy.verdict, nowMs);
}

export function standingLines(policy: PolicyStanding, nowMs: number): readonly string[] {
  const { since, number, overrides, servedHere, verdict } = policy;
  const place = placeName(placeOf(policy));
  const isJudged = policy.stage === RolloutStage.SHADOW || policy.stage === RolloutStage.CANARY;
  return [
    since ? `${place} since ${sinceWords(timestampMs(since), nowMs)}, by step ${number}` : place,
    ...overrides.map((reason) => `(!) went on against the gate: “${clean(reason)}”`),
    ...(servedHere ? [nextWords(policy, nowMs)] : ['is not in the build of this server, so it goes no further']),
    ...(isJudged && !verdict ? ['the gate was not asked yet; the consumers do so within half a minute of a step'] : []),
  ];
}

/** What comes next, and what has to be so first. */
export function nextWords(policy: Pick<PolicyStanding, 'stage' | 'trafficPercent' | 'since'>, nowMs: number): string {
  const next = nextPlace(policy);
  if (!next) return 'next: nothing; it stays until another policy takes its place';
  const name = placeName(next);
  const { stage } = policy;
  const isAgain = stage === RolloutStage.RETIRED || stage === RolloutStage.ROLLED_BACK;
  if (!isTowardsPeople(next)) return `next: ${name}${isAgain ? ', and the whole way again' : ''}`;
  const readyMs = policy.since ? timestampMs(policy.since) + rolloutRules.minShadowMs : 0;
  const isTooEarly = stage === RolloutStage.SHADOW && readyMs > nowMs;
  return `next: ${name}, ${isTooEarly ? `from ${nextMinute(readyMs)} on, ` : ''}with a complete model card, if the gate says PASS`;
}

function printVerdict(policy: PolicyStanding, { status, criteria, limitsVersion }: GateVerdict, nowMs: number): void {
  const passed = criteria.filter((each) => each.status === GateStatus.PASS).length;
  const pass = status === GateStatus.PASS ? '' : `; ${passed} of ${criteria.length} criteria pass`;
  heading(`The gate: ${gateWords(policy, nowMs)}${pass} ${dim(`(limits ${clean(limitsVersion)})`)}`);
  table(['criterion', 'is', 'because'], criteriaRows(criteria));
}

/** What blocks comes first. A long sentence goes on in the rows below it. */
export function criteriaRows(criteria: readonly GateCriterion[], width = 84): readonly (readonly string[])[] {
  const order: readonly GateStatus[] = [
    GateStatus.FAIL,
    GateStatus.INSUFFICIENT,
    GateStatus.UNSPECIFIED,
    GateStatus.PASS,
  ];
  const rank = ({ status }: GateCriterion) => order.indexOf(status);
  return criteria
    .toSorted((a, b) => rank(a) - rank(b))
    .flatMap(({ criterion, status, sentence }) =>
      wrapWords(clean(sentence), width).map((line, i) =>
        i === 0 ? [clean(criterion), statusName(status), line] : ['', '', line],
      ),
    );
}

/** Newest first, as they come. */
export function printSteps(steps: readonly Rollout[]): void {
  for (const step of steps) {
    const [first = '', ...rest] = stepLines(step, steps);
    say(`   ${first}`);
    for (const line of rest) printText(line, '        ');
  }
}

/** The first line says what and who, the others why. Versions are named where the same policy has several. */
export function stepLines(step: Rollout, all: readonly Rollout[] = [step]): readonly string[] {
  const { policy, policyVersion, causeNumber, reason, overrideReason, expectedDivergence } = step;
  const hasOthers = all.some((other) => other.policy === policy && !isSame(other, step));
  const name = `${clean(policy)}${hasOthers ? ` ${clean(policyVersion)}` : ''}`;
  const before = all.find((other) => isSame(other, step) && other.number < step.number);
  const at = step.at ? utc(timestampMs(step.at)) : 'at no time known';
  const said = saidByGate(step.evidenceJson);
  return [
    `${`#${step.number}`.padEnd(5)}${at}   ${name}: ${stepWords(step, before?.trafficPercent)}   by ${whoWords(step)}`,
    causeNumber > 0 ? `came with step ${causeNumber}` : clean(reason),
    ...(said === undefined ? [] : [`the gate said ${said}`]),
    ...(overrideReason === '' ? [] : [`(!) went on against the gate: “${clean(overrideReason)}”`]),
    ...(expectedDivergence === '' ? [] : [`meant to decide otherwise: “${clean(expectedDivergence)}”`]),
  ];
}

const isSame = (a: Rollout, b: Rollout): boolean => a.policy === b.policy && a.policyVersion === b.policyVersion;

/** A step does not say which share a canary had before. */
function stepWords({ fromStage, toStage, trafficPercent }: Rollout, fromPercent: number | undefined): string {
  const to = placeName({ stage: toStage, percent: trafficPercent });
  if (fromStage === RolloutStage.UNSPECIFIED) return to;
  const isCanary = fromStage === RolloutStage.CANARY && fromPercent === undefined;
  return `${isCanary ? 'canary' : placeName({ stage: fromStage, percent: fromPercent ?? 0 })} → ${to}`;
}

/** The key tells what the name only says. */
const whoWords = ({ actor, caller }: Rollout): string =>
  caller === '' || caller === 'anonymous' ? clean(actor) : `${clean(actor)} (key ${clean(caller)})`;

function saidByGate(evidenceJson: string): string | undefined {
  if (evidenceJson === '') return undefined;
  try {
    const { status } = JSON.parse(evidenceJson);
    return typeof status === 'string' ? clean(status) : undefined;
  } catch {
    return undefined;
  }
}

export interface Taken {
  readonly steps: readonly Rollout[];
  readonly isDryRun: boolean;
  /** Where the policy stood before. Undefined: nobody has looked. */
  readonly standing: Pick<PolicyStanding, 'trafficPercent'> | undefined;
}

/** The steps that were just taken, or would be. */
export function takenLines({ steps: [step, ...brought], isDryRun, standing }: Taken): readonly string[] {
  if (!step) return ['The server answers that no step was taken.'];
  const does = `${clean(step.policy)}: ${stepWords(step, standing?.trafficPercent)}`;
  const withIt = brought.map((each) => `with it, ${clean(each.policy)}: ${stepWords(each, undefined)}`);
  const said = saidByGate(step.evidenceJson);
  return [
    isDryRun ? `Nothing was done. What would be: ${does}` : `Done: ${does}, as step ${step.number}`,
    ...withIt,
    ...(said === undefined ? [] : [`the gate said ${said}`]),
    ...(step.overrideReason === '' ? [] : [`(!) against the gate: “${clean(step.overrideReason)}”`]),
    ...(isDryRun ? [] : ['Every replica follows within two seconds.', nextOf(step)]),
  ];
}

const nextOf = ({ toStage, trafficPercent, at }: Rollout): string =>
  nextWords({ stage: toStage, trafficPercent, ...(at && { since: at }) }, at ? timestampMs(at) : 0);

export function printTaken(taken: Taken): void {
  const [first = '', ...rest] = takenLines(taken);
  say(`   ${bold(first)}`);
  for (const line of rest) printText(line, '   ');
}

function printText(text: string, indent: string): void {
  for (const line of wrapWords(text, 110)) say(`${indent}${line}`);
}

/** Breaks at spaces, so that no line is longer than `width` unless one word is. */
export function wrapWords(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

const statusNames = Object.entries(GateStatus);

/** One of a later contract is a number. */
const statusName = (status: GateStatus): string =>
  statusNames.find(([, each]) => each === status)?.[0] ?? `status ${status}`;

const sinceWords = (sinceMs: number, nowMs: number): string => `${utc(sinceMs)} (${ago(Math.max(0, nowMs - sinceMs))})`;

/** An instant, to the minute. */
export const utc = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** The first full minute by which it has come. */
export const nextMinute = (ms: number): string => utc(Math.ceil(ms / 60_000) * 60_000);

/** Somebody else's text, whole and on one line. */
export const clean = (text: string): string => printable(text.replaceAll(/\s+/g, ' ').trim(), 1_000);
