import type { Database } from '../platform/database.ts';
import { invalidArgument, notFound } from '../platform/errors.ts';
import type { Log } from '../platform/log.ts';
import type { Artifacts } from './artifacts.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** How far a step has come. `inAll`: undefined if nobody knows; `doneByUs`: by this process, if others came before. */
export interface StepProgress {
  readonly done: number;
  readonly inAll: number | undefined;
  readonly doneByUs?: number;
  readonly unit: string;
}

/** What a step is given beside its inputs. */
export interface StepContext {
  /** The run's id, of the caller's choice. */
  readonly id: string;
  /** The instant that the run is about, ISO 8601 in UTC. A step asks for it and never for the clock, so that it repeats. */
  readonly asOf: string;
  readonly database: Database;
  readonly artifacts: Artifacts;
  /** Asks the step to stop soon, by throwing. What it has finished, it does not do again. */
  readonly signal: AbortSignal;
  readonly progress: (progress: StepProgress) => void;
  readonly log: Log;
}

/** A step's answer: there was nothing to do. So there is not for the steps that need it: they are skipped as well. */
export class Skipped {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/**
 * The work of a step. It may be begun again at any time, also after it has ended, so it is idempotent and goes on where it
 * was. Its answer is small; what is not goes to an artifact, and its hash is the answer. A DomainError that no retry helps
 * ends the step for good; anything else that is thrown is tried again.
 */
export type RunStep = (context: StepContext, inputs: Readonly<Record<string, Json>>) => Promise<Json | Skipped>;

export interface Step {
  /** For example `features:backfill`. */
  readonly name: string;
  /** Steps whose answers are its inputs. */
  readonly needs: readonly string[];
  readonly run: RunStep;
}

export interface Retries {
  /** Tries of a step after the first. */
  readonly limit: number;
  /** Before the first of them; then twice as long each time. */
  readonly afterSeconds: number;
}

export interface Dag {
  readonly id: string;
  /** When it runs by itself: cron with five fields, UTC. */
  readonly schedule: string | undefined;
  readonly retries: Retries;
  /** Each after the steps it needs, otherwise in the order of their names. */
  readonly steps: readonly Step[];
}

export interface DagDefinition<Name extends string> {
  readonly id: string;
  readonly schedule?: string;
  /** Default: three, after half a minute. */
  readonly retries?: Retries;
  readonly steps: Readonly<Record<Name, { readonly needs?: readonly NoInfer<Name>[]; readonly run: RunStep }>>;
}

const idPattern = /^[a-z][a-z0-9-]{0,39}$/;
const namePattern = /^[a-z][a-z0-9-]*(:[a-z][a-z0-9-]*)*$/;
const schedulePattern = /^[\d*/,-]+( [\d*/,-]+){4}$/;
const nameLengthMax = 80;

/** Declares a DAG. Throws an INVALID_ARGUMENT that names each bad field. Does nothing else. */
export function defineDag<Name extends string>(definition: DagDefinition<Name>): Dag {
  const { id, schedule, retries = { limit: 3, afterSeconds: 30 } } = definition;
  const given = Object.entries<{ readonly needs?: readonly string[]; readonly run: RunStep }>(definition.steps);
  const steps = given.map(([name, { needs = [], run }]): Step => ({ name, needs, run }));
  const violations = [
    ...when(!idPattern.test(id), 'id', 'is up to 40 of a-z, 0-9 and -, and begins with a letter'),
    ...when(
      schedule !== undefined && !schedulePattern.test(schedule),
      'schedule',
      'is five fields of cron, as numbers',
    ),
    ...when(!isCount(retries.limit, 0, 20), 'retries.limit', 'is a whole number from 0 to 20'),
    ...when(!isCount(retries.afterSeconds, 1, 3_600), 'retries.afterSeconds', 'is a whole number from 1 to 3600'),
    ...when(steps.length === 0, 'steps', 'has at least one'),
    ...steps.flatMap((step) => badStep(step, steps)),
  ];
  if (violations.length > 0) throw invalidArgument(violations, { reason: 'INVALID_DAG' });
  return { id, schedule, retries, steps: inOrder(steps) };
}

function badStep({ name, needs }: Step, steps: readonly Step[]) {
  const field = `steps[${name}]`;
  const isGood = namePattern.test(name) && name.length <= nameLengthMax;
  return [
    ...when(!isGood, field, 'the name is a-z, 0-9 and -, in parts with : between, each of which begins with a letter'),
    ...needs.flatMap((need, i) => [
      ...when(need === name, `${field}.needs[${i}]`, 'it needs itself'),
      ...when(needs.indexOf(need) < i, `${field}.needs[${i}]`, `${need} stands there twice`),
      ...when(!steps.some((each) => each.name === need), `${field}.needs[${i}]`, `there is no step ${need}`),
    ]),
  ];
}

const when = (isBad: boolean, field: string, description: string) => (isBad ? [{ field, description }] : []);

const isCount = (value: number, min: number, max: number): boolean =>
  Number.isInteger(value) && value >= min && value <= max;

/** Each step after those it needs; of several that may come next, the first by name. */
function inOrder(steps: readonly Step[]): readonly Step[] {
  const left = new Map(steps.map((step) => [step.name, step]));
  const ordered: Step[] = [];
  while (left.size > 0) {
    const free = [...left.values()].filter(({ needs }) => needs.every((need) => !left.has(need)));
    const [next] = free.sort((a, b) => (a.name < b.name ? -1 : 1));
    if (!next)
      throw invalidArgument([{ field: 'steps', description: `need each other: ${cycleOf(left).join(' → ')}` }]);
    left.delete(next.name);
    ordered.push(next);
  }
  return ordered;
}

/** Some steps of which each needs the next, and the last the first. */
function cycleOf(left: ReadonlyMap<string, Step>): readonly string[] {
  const path: string[] = [];
  for (let name = [...left.keys()].sort()[0] ?? ''; ; ) {
    const begin = path.indexOf(name);
    if (begin >= 0) return [...path.slice(begin), name];
    path.push(name);
    name = left.get(name)?.needs.find((need) => left.has(need)) ?? '';
  }
}

/** Throws a NOT_FOUND that lists the DAGs there are. */
export function dagOf(dags: readonly Dag[], id: string): Dag {
  const dag = dags.find((each) => each.id === id);
  if (!dag)
    throw notFound('UNKNOWN_DAG', `there is no DAG ${id}; choose from ${dags.map((each) => each.id).join(', ')}`);
  return dag;
}

/** Throws a NOT_FOUND that lists the steps there are. */
export function stepOf({ id, steps }: Dag, name: string): Step {
  const step = steps.find((each) => each.name === name);
  if (step) return step;
  const names = steps.map((each) => each.name).join(', ');
  throw notFound('UNKNOWN_STEP', `${id} has no step ${name}; choose from ${names}`);
}

/** What other schedulers need to know of DAGs. `version` says which shape this has: it grows when a reader would break. */
export function toDagJson(dags: readonly Dag[]) {
  return {
    version: 1,
    dags: dags.map(({ id, schedule, retries, steps }) => ({
      id,
      schedule: schedule ?? null,
      retries: retries.limit,
      retryAfterSeconds: retries.afterSeconds,
      steps: steps.map(({ name, needs }) => ({ name, needs: [...needs] })),
    })),
  };
}
