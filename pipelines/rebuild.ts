import { relearn } from '../experiments/reward-store.ts';
import { rescore } from '../experiments/shadow-store.ts';
import { definitions, type FeatureName } from '../features/definitions.ts';
import { readHistory } from '../features/history-store.ts';
import { readWholeFromDay } from '../features/partitions-store.ts';
import {
  advanceRebuild,
  beginRebuild,
  type Client,
  estimateEvents,
  inSnapshot,
  isConflict,
  lockRebuild,
  nextPeople,
  type RebuildScope,
  readRows,
  writeDifference,
} from '../features/rebuild-store.ts';
import { type Difference, differenceOf, startTableFold } from '../features/table-fold.ts';
import { type Delta, type TableName, tableNames } from '../features/tables.ts';
import type { Envelope } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Database } from '../platform/database.ts';
import { invalidArgument } from '../platform/errors.ts';
import { retry } from '../platform/retry.ts';

export interface RebuildDeps {
  readonly database: Database;
  /** All that an event adds to the tables: the function with which the consumers add it. */
  readonly deltas: (event: Envelope) => readonly Delta[];
  /** Stops after the chunk that is being done. The same rebuild continues there. */
  readonly signal: AbortSignal;
  readonly random: () => number;
  /** Told of the start, and of every chunk after it is committed. */
  readonly onProgress?: (progress: RebuildProgress) => void;
}

export interface RebuildOptions {
  readonly scope: RebuildScope;
  /** Compares and writes nothing. */
  readonly isDryRun?: boolean;
  /** From the first person, even if an earlier run has come further. */
  readonly restart?: boolean;
  /** People of one chunk, at most. */
  readonly peopleAtOnce?: number;
  /** A chunk ends with the person with whom it reaches this many events. */
  readonly eventsAtOnce?: number;
}

export interface RebuildProgress {
  /** Of all runs of this rebuild. */
  readonly people: number;
  readonly events: number;
  /** Of this run. */
  readonly eventsThisRun: number;
  /** All events there are, roughly. Undefined for a rebuild of one person. */
  readonly eventsInAll: number | undefined;
  /** When the rebuild that is continued began. Undefined: it began now. */
  readonly continuedFrom: Date | undefined;
}

/** How many rows of a table were not what the events add up to. */
export type Changes = Readonly<Record<keyof Omit<Difference, 'table'>, number>>;

export interface RebuildResult extends RebuildProgress {
  /** False: stopped before the end. */
  readonly isFinished: boolean;
  /** Of this run, by table; tables that are as they must be are not named. */
  readonly changes: Readonly<Partial<Record<TableName, Changes>>>;
}

/** What to rebuild, by names that a person typed. Throws an error that lists what there is. */
export function rebuildScope(asked: { feature?: string; table?: string; user?: string }): RebuildScope {
  const { feature, table, user: userId } = asked;
  if (feature !== undefined && table !== undefined) throw bad('table', 'give a feature or a table, not both');
  if (userId === '') throw bad('user', 'an empty id is nobody’s');
  if (feature !== undefined) {
    if (!Object.hasOwn(definitions, feature)) throw unknown('feature', feature, Object.keys(definitions));
    return { tables: [definitions[feature as FeatureName].table], userId };
  }
  if (table !== undefined && !tableNames.some((name) => name === table)) throw unknown('table', table, tableNames);
  return { tables: tableNames.filter((name) => table === undefined || name === table), userId };
}

const bad = (field: string, description: string) => invalidArgument([{ field, description }]);

const unknown = (what: string, name: string, names: readonly string[]) =>
  bad(what, `there is none called ${name}; choose from ${names.toSorted().join(', ')}`);

/**
 * Makes tables equal to what the events add up to, while consumers write and everybody reads. People are done in chunks,
 * in the order of their ids. A chunk is one transaction in which one instant is read: the people's events are folded and
 * compared with the rows there are, and only what differs is written. So a reader sees a person as they were or as they
 * must be; rows that are right are not touched; and where a consumer has changed one of the rows since that instant
 * Postgres refuses the chunk, which is done again on a new one. A consumer that waits for such a row adds to the new one.
 *
 * How far it has come is stored with each chunk: after a kill the same call continues. What events of dropped months
 * added cannot be known, so it is never taken away, see `differenceOf`. Nobody is erased while a chunk lasts. What policies
 * learn from decisions and outcomes is made anew with these, and what shadows said of the decisions.
 */
export async function rebuild(deps: RebuildDeps, options: RebuildOptions): Promise<RebuildResult> {
  const { database, signal, onProgress } = deps;
  const { scope, isDryRun = false, restart = false, peopleAtOnce = 256, eventsAtOnce = 5_000 } = options;
  const begun = isDryRun ? undefined : await beginRebuild(database, scope, { restart });
  const step: Step = { deps, scope, rebuildId: begun?.id, peopleAtOnce, eventsAtOnce };
  const changes = new Map<TableName, Changes>();
  let progress: RebuildProgress = {
    people: begun?.people ?? 0,
    events: begun?.events ?? 0,
    eventsThisRun: 0,
    eventsInAll: scope.userId === undefined ? await estimateEvents(database) : undefined,
    continuedFrom: begun && begun.people > 0 ? begun.startedAt : undefined,
  };
  let doneUpTo: string | undefined = begun?.doneUpTo ?? '';
  onProgress?.(progress);
  while (doneUpTo !== undefined && !signal.aborted) {
    const chunk = await doChunk(step, doneUpTo);
    for (const difference of chunk.differences) count(changes, difference);
    doneUpTo = chunk.doneUpTo;
    progress = {
      ...progress,
      people: progress.people + chunk.users.length,
      events: progress.events + chunk.events,
      eventsThisRun: progress.eventsThisRun + chunk.events,
    };
    onProgress?.(progress);
  }
  return { ...progress, isFinished: doneUpTo === undefined, changes: Object.fromEntries(changes) };
}

function count(changes: Map<TableName, Changes>, { table, missing, differing, surplus }: Difference): void {
  const before = changes.get(table) ?? { missing: 0, differing: 0, surplus: 0 };
  if (missing.length + differing.length + surplus.length === 0) return;
  changes.set(table, {
    missing: before.missing + missing.length,
    differing: before.differing + differing.length,
    surplus: before.surplus + surplus.length,
  });
}

interface Step {
  readonly deps: RebuildDeps;
  readonly scope: RebuildScope;
  /** Undefined: nothing is written. */
  readonly rebuildId: string | undefined;
  readonly peopleAtOnce: number;
  readonly eventsAtOnce: number;
}

/** Whether rewards are written into a table, or follow from it. */
const isLearntFrom = (table: TableName): boolean =>
  ['tip_scores', 'tip_outcomes', 'experiment_stats', 'prompt_rewards'].includes(table);

interface Chunk extends Pick<RebuildProgress, 'events'> {
  readonly users: readonly string[];
  /** Undefined: nobody is left. */
  readonly doneUpTo: string | undefined;
  readonly differences: readonly Difference[];
}

/** After this many conflicts in a row the writers of the tables have to wait, so that the rebuild gets on. */
const patience = 6;

/** Does the next chunk, again and with fewer people each time others wrote in between. */
async function doChunk(step: Step, after: string): Promise<Chunk> {
  const { deps, scope, rebuildId, peopleAtOnce } = step;
  let conflicts = 0;
  const attempt = () => {
    const options = { isReadOnly: rebuildId === undefined, lock: conflicts < patience ? [] : scope.tables };
    return inSnapshot(deps.database, options, async (client): Promise<Chunk> => {
      const rebuild = rebuildId === undefined ? undefined : await lockRebuild(client, rebuildId);
      if (rebuild?.isFinished) return { users: [], events: 0, doneUpTo: undefined, differences: [] }; // by another run
      const limit = Math.max(1, peopleAtOnce >> conflicts);
      const chunk = await compareChunk(client, step, rebuild?.doneUpTo ?? after, limit);
      if (rebuild) await writeChunk(client, rebuild.id, chunk);
      if (rebuild && scope.tables.some((table) => isLearntFrom(table))) await relearn(client, chunk.users);
      if (rebuild && scope.tables.includes('tip_scores')) await rescore(client, chunk.users);
      return chunk;
    });
  };
  return retry(attempt, {
    firstMs: 10,
    maxMs: 200,
    signal: new AbortController().signal, // patience ends it
    random: deps.random,
    shouldRetry: isConflict,
    onRetry: () => {
      conflicts++;
    },
  });
}

async function compareChunk(client: Client, step: Step, after: string, limit: number): Promise<Chunk> {
  const { tables, userId } = step.scope;
  const candidates = userId === undefined ? await nextPeople(client, tables, after, limit) : [userId];
  const { people, events, folded } = await foldEvents(client, step, candidates);
  const wholeFromDay = await readWholeFromDay(client);
  const differences: Difference[] = [];
  for (const table of tables) {
    const held = await readRows(client, table, people);
    differences.push(differenceOf(table, folded.get(table) ?? new Map(), held, wholeFromDay));
  }
  const isLast = userId !== undefined || (candidates.length < limit && people.length === candidates.length);
  return { users: people, events, doneUpTo: isLast ? undefined : people.at(-1), differences };
}

/** Folds the events of people in their order, as many as make a chunk: at least one person, and each person whole. */
async function foldEvents(client: Client, { deps, scope, eventsAtOnce }: Step, candidates: readonly string[]) {
  const fold = startTableFold(scope.tables);
  let events = 0;
  let current: string | undefined;
  for await (const { userId, event } of readHistory(client, candidates)) {
    if (userId !== current && events >= eventsAtOnce) {
      return { people: candidates.slice(0, candidates.indexOf(userId)), events, folded: fold.tables };
    }
    current = userId;
    fold.add(deps.deltas(event));
    events++;
  }
  return { people: candidates, events, folded: fold.tables };
}

async function writeChunk(client: Client, rebuildId: string, chunk: Chunk): Promise<void> {
  let rowsChanged = 0;
  for (const difference of chunk.differences) {
    await writeDifference(client, difference);
    rowsChanged += difference.missing.length + difference.differing.length + difference.surplus.length;
  }
  await advanceRebuild(client, rebuildId, { ...chunk, people: chunk.users.length, rowsChanged });
}
