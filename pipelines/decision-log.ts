import { readDecisionLog } from '../experiments/decision-log-store.ts';
import type { Statistics } from '../experiments/linear-model.ts';
import { problemOfDecision } from '../experiments/off-policy/row.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { createPopulationReader } from '../experiments/population-store.ts';
import { rewardMilli } from '../experiments/rewards.ts';
import { missingFor } from '../experiments/score-shadow.ts';
import type { Skip } from '../experiments/shadow.ts';
import { ofLogged } from '../experiments/statistics.ts';
import { firstVectorVersion, vectorNames, vectorVersion } from '../features/vector.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { atOneInstant, type Database } from '../platform/database.ts';
import type { CandidatesLine } from './bandit-log.ts';

/** One of our own decisions, as a line of a log of bandit feedback. Names nobody: people are numbered. */
export interface OwnDecision extends CandidatesLine {
  readonly decisionId: string;
  readonly decidedAtMs: number;
  /** What decided, which may be another one from line to line. */
  readonly policy: string;
  readonly policyVersion: string;
  /** The reaction, or `ignored`. Undefined: none is known. The reward is 0 then, as it is for `ignored`. */
  readonly outcome: string | undefined;
}

/** Decisions that cannot be used, by what is wrong with them. */
export type LeftOut = Readonly<Record<Skip, number>>;

export interface DecisionLog {
  /** Every time the same lines: those on which `policy` can be asked, or all. */
  read(): AsyncGenerator<OwnDecision>;
  /** By the last reading. */
  leftOut(): LeftOut;
}

/** Gives `work` the decisions that there are at this instant. Whatever comes in meanwhile is not among them. */
export function withDecisionLog<Result>(
  database: Database,
  policy: Policy | undefined,
  work: (log: DecisionLog) => Promise<Result>,
): Promise<Result> {
  return atOneInstant(database, (client) => work(decisionLog(client, policy)));
}

function decisionLog(client: Pick<Database, 'query'>, policy: Policy | undefined): DecisionLog {
  const populations = createPopulationReader(client);
  let leftOut = { vectors: 0, statistics: 0, propensities: 0 };
  return {
    async *read() {
      leftOut = { vectors: 0, statistics: 0, propensities: 0 };
      const people = startNumbering();
      let line = 0;
      for await (const { decision, userId, decisionId, decidedAtMs, outcome, dwellMs } of readDecisionLog(client)) {
        const candidates = candidatesOf(decision);
        const population = await populations.read(decision.populationId);
        const why = problemWith(decision, candidates, policy, population);
        if (why) leftOut[why]++;
        if (why) continue;
        yield {
          ...{ kind: 'candidates', line: ++line, user: people.numberOf(userId), ...candidates },
          // silence is no secret to the policy that chose the tip: left out, it would leave the reactions alone
          reward: outcome === undefined ? 0 : rewardMilli(outcome, dwellMs) / 1000,
          requestId: decision.requestId,
          ...(population && { learnt: { person: ofLogged(decision.statistics), population } }),
          ...{ decisionId, decidedAtMs, policy: decision.policy, policyVersion: decision.policyVersion, outcome },
        };
      }
    },
    leftOut: () => leftOut,
  };
}

function candidatesOf({ candidates, tipId }: TipScored) {
  return {
    chosen: candidates.findIndex((candidate) => candidate.tipId === tipId),
    propensities: candidates.map(({ propensity }) => propensity),
    vectors: candidates.map(({ vector }) => vector),
  };
}

function problemWith(
  decision: TipScored,
  { chosen, propensities, vectors }: ReturnType<typeof candidatesOf>,
  policy: Policy | undefined,
  population: Statistics | undefined,
): Skip | undefined {
  const logged = { user: 'somebody', chosen, propensities, targetProbabilities: propensities, reward: 0 };
  if (problemOfDecision(logged)) return 'propensities';
  const isOurs = (decision.vectorVersion || firstVectorVersion) === vectorVersion;
  if (!isOurs || vectors.some(({ length }) => length !== vectorNames.length)) return 'vectors';
  return policy && missingFor(policy, decision, population);
}

/** The log is in the order of people, so that each has the same number in every reading. */
function startNumbering() {
  let last: string | undefined;
  let number = 0;
  return {
    numberOf(userId: string): string {
      if (userId !== last) number++;
      last = userId;
      return String(number);
    },
  };
}
