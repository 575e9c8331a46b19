import { fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Statistics } from '../../experiments/linear-model.ts';
import { policies } from '../../experiments/policies/index.ts';
import type { Policy } from '../../experiments/policies/policy.ts';
import { nothingLearnt } from '../../experiments/statistics.ts';
import { profileTables } from '../../features/definitions.ts';
import type { PastEvent } from '../../features/history-store.ts';
import type { TipScored } from '../../gen/proto/oo/events/v1/decisions_pb.ts';
import { EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { Degradation } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { atDecisions } from '../point-in-time.ts';
import { deciderIn, verifyDecision } from '../verify-decision.ts';
import type { Scored } from './memory-service.ts';
import { simulate } from './simulate.ts';
import type { Visit } from './world.ts';

export interface Replay {
  readonly decisions: number;
  /** Of which everything that was logged came out again, bit for bit. */
  readonly equal: number;
  /** Decided at random in the place of the policy. */
  readonly fallbacks: number;
  /** How far propensities are from a sum of 1, at most. */
  readonly largestError: number;
  /** What differed, of a few. */
  readonly examples: readonly string[];
}

/**
 * Lets one policy decide, keeps all events as bytes, and verifies every decision from these alone, as `npm run verify`
 * does: what was known of the person is folded anew, what was learnt comes from the log and from the populations kept.
 */
export function replayAll(
  visits: readonly Visit[],
  policy: Policy,
  toTipScored: (scored: Scored) => TipScored,
): Replay {
  const stored = new Map<string, Uint8Array[]>();
  const order = new Map<Uint8Array, bigint>();
  const populations = new Map<string, Statistics>([['', nothingLearnt]]);
  let transactions = 0n;
  const onEvent = (event: Parameters<typeof toBinary<typeof EnvelopeSchema>>[1]) => {
    const bytes = toBinary(EnvelopeSchema, event);
    order.set(bytes, ++transactions);
    const own = stored.get(event.userId) ?? [];
    own.push(bytes);
    stored.set(event.userId, own);
  };
  const onPopulation = (id: string, learnt: Statistics) => populations.set(id, learnt);
  simulate(visits, { policy, isPooled: true, toTipScored, onEvent, onPopulation }, () => {});

  const replay = { decisions: 0, equal: 0, fallbacks: 0, largestError: 0, examples: [] as string[] };
  for (const [userId, own] of stored) {
    const history = own.map((bytes): PastEvent => {
      return { userId, transactionId: order.get(bytes) ?? 0n, event: fromBinary(EnvelopeSchema, bytes) };
    });
    for (const past of atDecisions(history, profileTables)) {
      const { decision } = past;
      const decider = deciderIn(policies, decision);
      const wrong = verifyDecision(past, populations.get(decision.populationId), decider).filter(
        ({ verdict }) => verdict !== 'match',
      );
      replay.decisions++;
      if (wrong.length === 0 && decider.policy) replay.equal++;
      else if (replay.examples.length < 5) replay.examples.push(wrong.map(({ name }) => name).join(', '));
      if (decision.degradations.includes(Degradation.POLICY_FALLBACK)) replay.fallbacks++;
      const total = decision.candidates.reduce((sum, { propensity }) => sum + propensity, 0);
      replay.largestError = Math.max(replay.largestError, Math.abs(total - 1));
    }
  }
  return replay;
}
