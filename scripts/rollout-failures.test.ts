import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { AdminService, PolicyStandingSchema, RolloutStage } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { permissionDenied, unauthenticated } from '../platform/errors.ts';
import type { RefusalReason } from '../registry/rollout.ts';
import { createErrorMapper } from '../server/interceptors/errors.ts';
import { refusedRollout } from '../server/routes/admin/refused-rollout.ts';
import { explainFailure, explainRefusal, type Refused, RolloutFailure } from './rollout-failures.ts';

const toConnectError = createErrorMapper({ error: () => {} }, () => 'error-1');
const asSeen = (error: unknown) => toConnectError(error, AdminService.method.advanceRollout);
const now = Date.parse('2026-11-23T12:00:00Z');

const standing = (stage: RolloutStage, trafficPercent = 0, step = 7) =>
  create(PolicyStandingSchema, {
    ...{ policy: 'p', stage, trafficPercent, number: 7, since: timestampFromMs(now - 3_600_000) },
    verdict: { judgedAt: timestampFromMs(now), step },
  });

const refusedAs = (kind: 'advance' | 'back' | 'retire', where?: Refused['standing']): Refused => {
  const by = { policy: 'p', by: 'ana', why: 'a try' };
  const more = { percent: undefined, override: undefined, diverges: undefined, isDryRun: false };
  return { command: kind === 'advance' ? { kind, ...by, ...more } : { kind, ...by }, standing: where, nowMs: now };
};

describe('a refusal', () => {
  const asks = 'The gate is asked soon after each step, and every ten minutes; do the consumers run?';
  const { SHADOW, CANARY, ACTIVE, RETIRED } = RolloutStage;

  it.each<[RefusalReason, Refused, string]>([
    ['NOT_BEGUN', refusedAs('advance'), ''],
    ['ACTOR_MISSING', refusedAs('back'), ''],
    ['CHANGED_MEANWHILE', refusedAs('advance'), ' Somebody else was faster: npm run rollout says where'],
    ['ILLEGAL_TRANSITION', refusedAs('back'), ' It decides about nobody, so there is nothing to take back.'],
    [
      'ILLEGAL_TRANSITION',
      refusedAs('retire', standing(CANARY, 5)),
      ' Take it back from people first: npm run rollout',
    ],
    ['ILLEGAL_TRANSITION', refusedAs('retire', standing(ACTIVE, 100)), ' It retires when another policy takes its'],
    ['ILLEGAL_TRANSITION', refusedAs('retire', standing(RETIRED)), ''],
    [
      'ILLEGAL_TRANSITION',
      refusedAs('advance', standing(CANARY, 10)),
      ' Without --percent it goes on to canary 25 %, with --percent back to 1 or 5.',
    ],
    ['ILLEGAL_TRANSITION', refusedAs('advance', standing(CANARY, 1)), ' Without --percent it goes on to canary 5 %.'],
    ['ILLEGAL_TRANSITION', refusedAs('advance', standing(ACTIVE, 100)), ''],
    ['ANOTHER_CANARY', refusedAs('advance'), ' Bring that one to the end first, or take it back.'],
    ['NOTHING_BEFORE', refusedAs('back'), ' Bring another policy all the way: it takes the place of this one.'],
    [
      'SHADOW_TOO_SHORT',
      refusedAs('advance', standing(SHADOW)),
      ' It came there 1 hour ago, so try again from 2026-11-24 11:00 UTC on. Nothing lifts this, no override either.',
    ],
    ['SHADOW_TOO_SHORT', refusedAs('advance'), ' Nothing lifts this, no override either.'],
    [
      'CARD_MISSING',
      refusedAs('advance'),
      ' npm run model -- show p says all that is wrong, npm run card -- make p makes',
    ],
    [
      'CARD_INCOMPLETE',
      refusedAs('advance'),
      ' npm run model -- show p says all that is wrong, npm run card -- make p',
    ],
    ['VERDICT_MISSING', refusedAs('advance'), ` ${asks} Not even an override goes on without having read a verdict.`],
    ['VERDICT_OF_ANOTHER', refusedAs('advance'), ` ${asks}`],
    ['VERDICT_TOO_OLD', refusedAs('advance', standing(SHADOW)), ` ${asks}`],
    [
      'VERDICT_TOO_OLD',
      refusedAs('advance', standing(CANARY, 1, 6)),
      ` The gate was last asked before its step 7. ${asks}`,
    ],
    ['VERDICT_BLOCKS', refusedAs('advance'), ' See why with npm run rollout -- show p; to go on all the same, say'],
    ['OVERRIDE_WITHOUT_NEED', refusedAs('advance'), ' Try again without --override.'],
    ['DIVERGENCE_WITHOUT_NEED', refusedAs('advance'), ' Try again without --diverges.'],
  ])('%s says what to do', (reason, refused, hint) => {
    const message = 'rolled_back does not lead there';
    const said = explainRefusal(asSeen(refusedRollout({ reason, message }, 7)), refused) ?? '';
    const start = 'Nothing was done with p: rolled back does not lead there.';
    expect(said.slice(0, start.length)).toBe(start);
    if (hint === '') expect(said).toBe(start);
    expect(said.slice(start.length, start.length + hint.length)).toBe(hint);
  });

  it('is not what happens to a call that failed', () => {
    for (const error of [new Error('x'), new ConnectError('x', Code.Unavailable), asSeen(new Error('x'))])
      expect(explainRefusal(error, refusedAs('back'))).toBeUndefined();
  });
});

describe('a failure', () => {
  const url = 'http://ml:8080';

  it.each([
    [new RolloutFailure('That is all.'), 'That is all.'],
    [new ConnectError('connect ECONNREFUSED', Code.Unavailable), `There is no server at ${url} (connect ECONNREFUSED)`],
    [asSeen(unauthenticated('KEY_MISSING', 'send it')), `The server at ${url} asks for a key: put one with`],
    [asSeen(permissionDenied('PERMISSION_MISSING', 'no')), 'The key in OO_API_KEY does not have the permission admin'],
    [new ConnectError('HTTP 403', Code.PermissionDenied), `The server at ${url} does not let you: HTTP 403.`],
    [new ConnectError('x', Code.Unimplemented), `The server at ${url} knows nothing of rollouts`],
    [new ConnectError('Protocol error', Code.Internal), `What answers at ${url} is no server of oO ml, or`],
    [asSeen(new Error('secret')), `The server at ${url} failed: internal error, error-1 in its log.`],
    [new Error('a bug'), ''],
  ])('%# is told in one sentence', (error, text) => {
    const said = explainFailure(error, { url, hasKey: false, kind: 'list' }) ?? '';
    expect(said.slice(0, text.length)).toBe(text);
    expect(said.includes('\n') || said.includes('secret')).toBe(false);
  });

  it('that came late leaves open whether a step was taken', () => {
    const late = new ConnectError('late', Code.DeadlineExceeded);
    const said = (kind: 'list' | 'back') => explainFailure(late, { url, hasKey: false, kind });
    expect(said('list')).toBe(`The server at ${url} does not answer in time.`);
    expect(said('back')).toContain('Whether the step was taken is not known: npm run rollout -- history says so.');
  });
});
