import { contentHash } from '../platform/content-hash.ts';
import type { Database } from '../platform/database.ts';
import { DomainError, failedPrecondition, invalidArgument } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';
import type { Artifacts } from './artifacts.ts';
import { type Dag, type Json, Skipped, type Step, type StepProgress, stepOf } from './dag.ts';
import {
  beginStep,
  endStep,
  lockStep,
  type Outcome,
  outcomeOf,
  type Run,
  readSteps,
  type StoredStep,
} from './step-store.ts';

export interface StepDeps {
  /** With room for two connections beside those that the step itself uses. */
  readonly database: Database;
  readonly artifacts: Artifacts;
  readonly log: Log;
  /** Asks for a stop: of the waiting, and of the step. */
  readonly signal: AbortSignal;
  readonly onProgress?: (step: string, progress: StepProgress) => void;
}

const outputBytesMax = 48 * 1024;
const reasonLengthMax = 500;

/**
 * Does a step of a run, unless it is done: then its stored outcome is the answer, however often it is asked for and by how
 * many. One does it at a time, others wait. It runs again only if it has not succeeded, or if what it needs answers
 * otherwise now. Throws what the step throws, and a FAILED_PRECONDITION that names what it needs and is not done.
 */
export async function performStep(deps: StepDeps, dag: Dag, name: string, run: Run): Promise<Outcome> {
  const step = stepOf(dag, name);
  await using lock = await lockStep(deps.database, run, name, deps.signal);
  const stored = await readSteps(deps.database, run);
  const needed = neededOutcomes(dag, step, stored);
  const inputHash = contentHash(Object.fromEntries(needed));
  const before = outcomeOf(stored.get(name));
  if (before && stored.get(name)?.inputHash === inputHash) return before;

  const attempt = await beginStep(deps.database, run, name, inputHash);
  const signal = AbortSignal.any([deps.signal, lock.lost]);
  try {
    const outcome = await work({ ...deps, signal }, step, run, needed);
    await endStep(deps.database, run, name, attempt, outcome);
    return outcome;
  } catch (error) {
    const reason = (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(
      0,
      reasonLengthMax,
    );
    const ending = { status: 'failed', reason: reason.replaceAll('\0', '') } as const;
    await endStep(deps.database, run, name, attempt, ending).catch(() => {}); // it stands there as interrupted
    throw error;
  }
}

/** The outcomes of the steps that a step needs. */
function neededOutcomes(dag: Dag, { name, needs }: Step, stored: ReadonlyMap<string, StoredStep>) {
  const outcomes = needs.map((need) => [need, outcomeOf(stored.get(need))] as const);
  const missing = outcomes.flatMap(([need, outcome]) =>
    outcome ? [] : [`${need} (${stored.get(need)?.status ?? 'not begun'})`],
  );
  if (missing.length === 0) return outcomes as readonly (readonly [string, Outcome])[];
  throw failedPrecondition('NEEDS_NOT_DONE', `${dag.id} ${name} needs what is not done: ${missing.join(', ')}`);
}

async function work(
  { database, artifacts, log, signal, onProgress }: StepDeps,
  { name, run: perform }: Step,
  { id, asOf }: Run,
  needed: readonly (readonly [string, Outcome])[],
): Promise<Outcome> {
  for (const [need, { status }] of needed) {
    if (status === 'skipped') return { status: 'skipped', reason: `${need} was skipped` };
  }
  const inputs = Object.fromEntries(
    needed.map(([need, outcome]) => [need, outcome.status === 'done' ? outcome.output : null]),
  );
  const progress = (standing: StepProgress) => onProgress?.(name, standing);
  const answer = await perform(
    { id, asOf, database, artifacts, signal, progress, log: log.child({ step: name }) },
    inputs,
  );
  signal.throwIfAborted(); // else half of the work could pass for all of it
  if (answer instanceof Skipped) return { status: 'skipped', reason: answer.reason };
  return { status: 'done', output: checkOutput(answer) };
}

/** A copy as the database would give it back. Throws an INVALID_ARGUMENT on what is no JSON, or is too much of it. */
function checkOutput(output: unknown): Json {
  const problem = notJson(output, 'output');
  if (problem) throw invalidArgument([problem], { reason: 'BAD_OUTPUT' });
  const text = JSON.stringify(output);
  const bytes = Buffer.byteLength(text);
  if (bytes <= outputBytesMax) return JSON.parse(text) as Json;
  const description = `has ${bytes} bytes, of ${outputBytesMax} at most: put it into an artifact and answer its hash`;
  throw invalidArgument([{ field: 'output', description }], { reason: 'BAD_OUTPUT' });
}

function notJson(value: unknown, field: string): { field: string; description: string } | undefined {
  if (value === null || typeof value === 'boolean' || Number.isFinite(value)) return undefined;
  if (typeof value === 'string') {
    return value.isWellFormed() && !value.includes('\0') ? undefined : { field, description: 'holds what no text has' };
  }
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(Object(value)) === Object.prototype;
  if (typeof value !== 'object' || !isPlain) return { field, description: `is not JSON: ${typeof value}` };
  for (const [name, each] of Object.entries(value)) {
    const problem = notJson(name, `${field}.${name}`) ?? notJson(each, `${field}.${name}`);
    if (problem) return problem;
  }
  return undefined;
}

/** Whether a failed step may succeed when it is tried again. */
export function canPass(error: unknown): boolean {
  return !(error instanceof DomainError) || error.retryAfterMs !== undefined;
}
