// Rebuilds in a process of its own, so that its memory is that of a rebuild and of nothing else.

import { deltas } from '../consumers/deltas.ts';
import { readHistory } from '../features/history-store.ts';
import { rebuild, rebuildScope } from '../pipelines/rebuild.ts';
import { openDatabase } from '../platform/database.ts';
import { answerTasks } from './processes.ts';

export interface RebuildTask {
  /** `read`: reads the events and does nothing with them. */
  readonly work: 'rebuild' | 'read';
  readonly people: readonly string[];
  readonly events: number;
  /** Shares of the events after which the memory is looked at. */
  readonly lookAt: readonly number[];
}

export interface RebuildFigures {
  readonly events: number;
  readonly seconds: number;
  readonly rowsChanged: number;
  /** Of the process, at each share. */
  readonly memoryMib: readonly number[];
}

const peopleAtOnce = 50;

const database = openDatabase({
  url: process.env.DATABASE_URL ?? '',
  applicationName: 'oo-bench-rebuild',
  maxConnections: 2,
});

answerTasks<RebuildTask, RebuildFigures>(async ({ work, people, events, lookAt }) => {
  const memoryMib: number[] = [];
  const look = (done: number) => {
    while (memoryMib.length < lookAt.length && done >= (lookAt[memoryMib.length] ?? 1) * events)
      memoryMib.push(Math.round(process.memoryUsage.rss() / 2 ** 20));
  };
  const startedAt = performance.now();
  const { done, rowsChanged } = work === 'read' ? await read(people, look) : await rebuildAll(look);
  return { events: done, seconds: (performance.now() - startedAt) / 1000, rowsChanged, memoryMib };
});

async function rebuildAll(look: (done: number) => void) {
  const deps = { database, deltas, signal: new AbortController().signal, random: Math.random };
  const result = await rebuild({ ...deps, onProgress: ({ events }) => look(events) }, { scope: rebuildScope({}) });
  const counts = Object.values(result.changes).flatMap(
    ({ missing, differing, surplus }) => missing + differing + surplus,
  );
  return { done: result.events, rowsChanged: counts.reduce((sum, rows) => sum + rows, 0) };
}

async function read(people: readonly string[], look: (done: number) => void) {
  let done = 0;
  for (let i = 0; i < people.length; i += peopleAtOnce) {
    for await (const _ of readHistory(database, people.slice(i, i + peopleAtOnce))) done++;
    look(done);
  }
  return { done, rowsChanged: 0 };
}
