// What went wrong with `npm run rollout`, in words for whoever typed it. Pure.

import { timestampMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema, ErrorInfoSchema } from '../gen/proto/google/rpc/error_details_pb.ts';
import { type PolicyStanding, RolloutStage } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { canarySteps, type RefusalReason, rolloutRules } from '../registry/rollout.ts';
import { ago, printable } from './plain-words.ts';
import { clean, nextMinute } from './print-rollouts.ts';
import type { RolloutCommand } from './rollout-command.ts';
import { nextPlace, placeName } from './rollout-steps.ts';

/** Has nothing to add to its message. */
export class RolloutFailure extends Error {
  override readonly name = 'RolloutFailure';
}

export interface AskedOf {
  readonly url: string;
  readonly hasKey: boolean;
  readonly kind: RolloutCommand['kind'];
}

const isChange = (kind: RolloutCommand['kind']): boolean => ['advance', 'back', 'retire'].includes(kind);

/** Of a call that failed, whichever it was. Undefined: nobody foresaw this. */
export function explainFailure(error: unknown, { url, hasKey, kind }: AskedOf): string | undefined {
  if (error instanceof RolloutFailure) return error.message;
  if (!(error instanceof ConnectError)) return undefined;
  const message = printable(clean(error.rawMessage), 120);
  const info = error.findDetails(ErrorInfoSchema)[0];
  switch (error.code) {
    case Code.Unauthenticated:
      return hasKey
        ? `The server at ${url} does not know the key in OO_API_KEY.`
        : `The server at ${url} asks for a key: put one with the permission admin into the variable OO_API_KEY.`;
    case Code.PermissionDenied:
      return info
        ? 'The key in OO_API_KEY does not have the permission admin, which this needs.'
        : `The server at ${url} does not let you: ${message}.`;
    case Code.Unavailable:
      if (info) return `The server at ${url} cannot answer now: ${message}. Try again in a moment.`;
      return `There is no server at ${url} (${message}): npm start starts one here, --url names another.`;
    case Code.DeadlineExceeded:
      return `The server at ${url} does not answer in time.${isChange(kind) ? ' Whether the step was taken is not known: npm run rollout -- history says so.' : ''}`;
    case Code.Unimplemented:
      return `The server at ${url} knows nothing of rollouts: is it an older one?`;
    default:
      if (!info) return `What answers at ${url} is no server of oO ml, or its connection broke: ${message}.`;
      return `The server at ${url} failed: ${message}${info.metadata.errorId ? `, ${info.metadata.errorId} in its log` : ''}.`;
  }
}

export interface Refused {
  readonly command: Extract<RolloutCommand, { by: string }>;
  /** Where it stood just before. Undefined: nobody has looked. */
  readonly standing: PolicyStanding | undefined;
  readonly nowMs: number;
}

/** Why the server does not take a step. Undefined: it did not refuse, it failed. */
export function explainRefusal(error: unknown, refused: Refused): string | undefined {
  if (!(error instanceof ConnectError)) return undefined;
  if (error.code !== Code.FailedPrecondition && error.code !== Code.InvalidArgument) return undefined;
  const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason ?? '';
  const found =
    error.code === Code.InvalidArgument && violations.length > 0
      ? violations.map(({ field, description }) => `${argumentOf(field)} ${description}`).join('; ')
      : // the message is cut later than the description is, and begins with the field
        withoutField(error.rawMessage, violations[0]?.field);
  const hint = (hints as Partial<Record<string, Hint>>)[reason]?.(refused);
  return `Nothing was done with ${clean(refused.command.policy)}: ${clean(found).replaceAll('rolled_back', 'rolled back')}.${hint ? ` ${hint}` : ''}`;
}

const withoutField = (message: string, field = ''): string =>
  field !== '' && message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;

const fieldArguments: Readonly<Record<string, string>> = {
  policy: 'the policy',
  actor: '--by',
  reason: '--why',
  override_reason: '--override',
  expected_divergence: '--diverges',
  traffic_percent: '--percent',
};

const argumentOf = (field: string): string => fieldArguments[field] ?? field;

type Hint = (refused: Refused) => string | undefined;

const asksAgain = 'The gate is asked soon after each step, and every ten minutes; do the consumers run?';

/** What to do now. */
const hints: Readonly<Record<RefusalReason, Hint | undefined>> = {
  NOT_BEGUN: undefined,
  ACTOR_MISSING: undefined,
  CHANGED_MEANWHILE: () => 'Somebody else was faster: npm run rollout says where things stand now; then try again.',
  ILLEGAL_TRANSITION: ways,
  ANOTHER_CANARY: () => 'Bring that one to the end first, or take it back.',
  NOTHING_BEFORE: () => 'Bring another policy all the way: it takes the place of this one.',
  SHADOW_TOO_SHORT: ({ standing, nowMs }) => {
    const always = 'Nothing lifts this, no override either.';
    if (!standing?.since) return always;
    const sinceMs = timestampMs(standing.since);
    const readyMs = sinceMs + rolloutRules.minShadowMs;
    return `It came there ${ago(Math.max(0, nowMs - sinceMs))} ago, so try again from ${nextMinute(readyMs)} on. ${always}`;
  },
  CARD_MISSING: cardHint,
  CARD_INCOMPLETE: cardHint,
  VERDICT_MISSING: () => `${asksAgain} Not even an override goes on without having read a verdict.`,
  VERDICT_OF_ANOTHER: () => asksAgain,
  VERDICT_TOO_OLD: ({ standing }) =>
    isOfStageBefore(standing) ? `The gate was last asked before its step ${standing?.number}. ${asksAgain}` : asksAgain,
  VERDICT_BLOCKS: ({ command }) =>
    `See why with npm run rollout -- show ${clean(command.policy)}; to go on all the same, say why with --override.`,
  OVERRIDE_WITHOUT_NEED: () => 'Try again without --override.',
  DIVERGENCE_WITHOUT_NEED: () => 'Try again without --diverges.',
};

function cardHint({ command: { policy } }: Refused): string {
  const name = clean(policy);
  return `npm run model -- show ${name} says all that is wrong, npm run card -- make ${name} makes one. Nothing lifts this, no override either.`;
}

function isOfStageBefore(standing: PolicyStanding | undefined): boolean {
  return standing?.verdict !== undefined && standing.verdict.step < standing.number;
}

function ways({ command: { kind, policy }, standing }: Refused): string | undefined {
  const command = (verb: string) => `npm run rollout -- ${verb} ${clean(policy)}`;
  if (kind === 'back') return 'It decides about nobody, so there is nothing to take back.';
  const { stage = RolloutStage.UNSPECIFIED, trafficPercent = 0 } = standing ?? {};
  if (kind === 'retire') {
    if (stage === RolloutStage.CANARY) return `Take it back from people first: ${command('back')}.`;
    if (stage === RolloutStage.ACTIVE)
      return `It retires when another policy takes its place; ${command('back')} brings the one before.`;
    return undefined;
  }
  const next = standing && nextPlace(standing);
  if (!next) return undefined;
  const fewer = stage === RolloutStage.CANARY ? canarySteps.filter((step) => step < trafficPercent) : [];
  const back = fewer.length > 0 ? `, with --percent back to ${fewer.join(' or ')}` : '';
  return `Without --percent it goes on to ${placeName(next)}${back}.`;
}
