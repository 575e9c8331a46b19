import { create } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import { type Choices, type ExperimentSet, parseExperiments } from '../../../experiments/experiment.ts';
import type { ExperimentStore } from '../../../experiments/experiment-store.ts';
import type { ErasureStore } from '../../../features/erasure-store.ts';
import {
  type PutExperimentsRequest,
  type PutExperimentsResponse,
  PutExperimentsResponseSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { DomainError, invalidArgument } from '../../../platform/errors.ts';
import type { Log } from '../../../platform/log.ts';
import { pathStep } from '../../../platform/violations.ts';
import type { ServedPolicies } from '../../follow-rollouts.ts';
import { callerKey } from '../../interceptors/authenticate.ts';
import { checkStorable } from './check-storable.ts';
import { toExperimentSet } from './experiment-set.ts';

export interface PutExperimentsDeps {
  readonly experimentStore: Pick<ExperimentStore, 'append' | 'readNewest' | 'readRun'>;
  readonly erasureStore: Pick<ErasureStore, 'findErased'>;
  readonly choices: Choices;
  readonly rollouts: { current(): ServedPolicies };
  readonly log: Pick<Log, 'info'>;
}

/** Puts experiments in force, if they are right and the caller has seen those that they replace. */
export function createPutExperiments({ experimentStore, erasureStore, choices, rollouts, log }: PutExperimentsDeps) {
  return async (
    { definitionsJson, expectedPreviousId, actor, reason, dryRun }: PutExperimentsRequest,
    context: Pick<HandlerContext, 'values'>,
  ): Promise<PutExperimentsResponse> => {
    checkStorable({ actor, reason });
    const definitions = readJson(definitionsJson);
    const known = { ...choices, clearedPolicies: new Set(rollouts.current().cleared.keys()) };
    const { version } = parse(definitions, known, await experimentStore.readRun());
    await refuseErased(erasureStore, definitions);
    const caller = context.values.get(callerKey).name;
    const set = { previousId: expectedPreviousId, version, definitions, actor, caller, reason };
    if (dryRun) {
      const newestId = (await experimentStore.readNewest(0))?.id ?? 0;
      if (newestId !== expectedPreviousId) throw replaced(newestId);
      return create(PutExperimentsResponseSchema, { set: toExperimentSet({ ...set, id: expectedPreviousId + 1 }) });
    }
    const stored = await experimentStore.append(set);
    if (!stored) throw replaced((await experimentStore.readNewest(0))?.id ?? 0);
    log.info({ id: stored.id, version, caller }, 'put experiments in force');
    return create(PutExperimentsResponseSchema, { set: toExperimentSet(stored) });
  };
}

const field = 'definitions_json';

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalidArgument([{ field, description: 'is no JSON' }], { reason: 'INVALID_EXPERIMENTS' });
  }
}

/** The paths of `parseExperiments` lie within the field of the request. */
function parse(definitions: unknown, ...rest: [Choices, Parameters<typeof parseExperiments>[2]]): ExperimentSet {
  try {
    return parseExperiments(definitions, ...rest);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    const within = (path: string) => (path === '' || path.startsWith('[') ? field + path : `${field}.${path}`);
    const violations = error.violations.map((each) => ({ ...each, field: within(each.field) }));
    throw invalidArgument(violations, { reason: 'INVALID_EXPERIMENTS' });
  }
}

/** An erasure takes the person out of every set there is; none that comes later brings them back. `definitions` are valid. */
async function refuseErased(erasureStore: PutExperimentsDeps['erasureStore'], definitions: unknown): Promise<void> {
  const { experiments } = definitions as { experiments: readonly { forced?: object }[] };
  const forced = experiments.flatMap(({ forced = {} }, i) =>
    Object.keys(forced).map((userId) => ({ userId, path: `${field}.experiments[${i}].forced${pathStep(userId)}` })),
  );
  const erased = await erasureStore.findErased(forced.map(({ userId }) => userId));
  const violations = forced
    .filter(({ userId }) => erased.has(userId))
    .map(({ path }) => ({ field: path, description: 'was erased' }));
  if (violations.length > 0) throw invalidArgument(violations, { reason: 'INVALID_EXPERIMENTS' });
}

function replaced(newestId: number): DomainError {
  const violation = { field: 'expected_previous_id', description: `is not the newest set, which is ${newestId}` };
  return new DomainError({
    code: 'failed_precondition',
    reason: 'EXPERIMENTS_REPLACED',
    message: `${violation.field}: ${violation.description}`,
    violations: [violation],
    metadata: { newestId: String(newestId) },
  });
}
