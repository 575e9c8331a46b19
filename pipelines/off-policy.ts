import { decide } from '../experiments/decide.ts';
import { estimatorsFor } from '../experiments/off-policy/estimators.ts';
import { type Options, type Report, startEvaluation } from '../experiments/off-policy/evaluate.ts';
import { type RewardModel, startRewardModel } from '../experiments/off-policy/reward-model.ts';
import {
  type Problem,
  problemOfDecision,
  problemOfRow,
  RefusedLog,
  type Row,
  toRow,
} from '../experiments/off-policy/row.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { nothingLearnt } from '../experiments/statistics.ts';
import { vectorNames } from '../features/vector.ts';
import type { CandidatesLine, LogLine } from './bandit-log.ts';

export interface LogOptions extends Options {
  /** Which policy to evaluate on the log's candidates. Default: the one whose probabilities the log has. */
  readonly policy?: Policy | undefined;
}

/**
 * Evaluates a log of any length; memory holds sums for each person. Reads it twice, `read` each time: what a decision's
 * reward is predicted from must be known before it can be corrected. Throws RefusedLog with line and column, before
 * anything is estimated.
 */
export async function evaluateLog(
  read: () => AsyncIterable<LogLine>,
  { policy, ...options }: LogOptions = {},
): Promise<Report> {
  const { rows, hasModel, model } = await prepare(read(), policy);
  const evaluation = startEvaluation(estimatorsFor(rows, hasModel), options);
  let again = 0;
  for await (const line of read()) {
    again++;
    evaluation.add(rowOf(line, policy, model));
  }
  if (again !== rows) throw new RefusedLog('the log changed while it was read');
  return evaluation.report();
}

/** The first pass: every line is looked at before any is used, and the reward model is fitted. */
async function prepare(lines: AsyncIterable<LogLine>, policy: Policy | undefined) {
  let rows = 0;
  let hasModel = false;
  let training: ReturnType<typeof startRewardModel> | undefined;
  for await (const line of lines) {
    rows++;
    const { q } = rowOf(line, policy);
    const vector = line.kind === 'candidates' ? line.vectors?.[line.chosen] : undefined;
    hasModel ||= q !== undefined || vector !== undefined;
    if (!vector) continue;
    training ??= startRewardModel(vector.length);
    training.add(line.user, vector, line.reward);
  }
  if (rows === 0) throw new RefusedLog('the log is empty');
  return { rows, hasModel, model: training?.fit() };
}

/** What a line of a log says of the policy. Throws RefusedLog if that is nothing, or makes no sense. */
function rowOf(line: LogLine, policy: Policy | undefined, model?: RewardModel): Row {
  if (line.kind === 'chosen') {
    if (policy)
      throw new RefusedLog(`line ${line.line}: no column propensities, chosen, vectors to evaluate a policy on`);
    const { user, propensity, targetProbability, reward, q } = line;
    const row = { user, propensity, targetProbability, reward, ...(q && { q }) };
    refuseIf(problemOfRow(row), line);
    return row;
  }
  const { user, chosen, propensities, reward, vectors } = line;
  const targetProbabilities = policy ? probabilitiesOf(policy, line) : line.targetProbabilities;
  if (!targetProbabilities)
    throw new RefusedLog(`line ${line.line}: no column target_probabilities, and no policy is named to evaluate`);
  const decision = { user, chosen, propensities, targetProbabilities, reward };
  refuseIf(problemOfDecision(decision), line);
  return toRow(decision, model && vectors?.map((vector) => model.predict(user, vector)));
}

const nothing = { person: nothingLearnt, population: nothingLearnt };

/**
 * As the service itself would have decided on that request, by what had been learnt then, with `random` in place of a policy
 * that fails. So a policy that is asked again gives what was logged, to the last bit.
 */
export function probabilitiesOf(policy: Policy, candidates: CandidatesLine): readonly number[] {
  const { line, propensities, vectors, requestId = '', learnt = nothing } = candidates;
  if (!policy.learning) return decide(policy, vectors ?? propensities.map(() => []), requestId, nothing).propensities;
  if (!vectors) throw new RefusedLog(`line ${line}: no column vectors, which ${policy.name} decides on`);
  const entries = vectorNames.length;
  const wrong = vectors.find((vector) => vector.length !== entries);
  if (wrong)
    throw new RefusedLog(`line ${line}, column vectors: ${wrong.length} entries, but ${policy.name} knows ${entries}`);
  return decide(policy, vectors, requestId, learnt).propensities;
}

const columnsOfFields: Readonly<Record<string, string>> = {
  targetProbability: 'target_probability',
  targetProbabilities: 'target_probabilities',
  'q.chosen': 'q_chosen',
  'q.target': 'q_target',
};

function refuseIf(problem: Problem | undefined, { line }: LogLine): void {
  if (!problem) return;
  const column = columnsOfFields[problem.field] ?? problem.field;
  throw new RefusedLog(`line ${line}, column ${column}: ${problem.problem}`);
}
