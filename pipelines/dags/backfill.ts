import type { Delta } from '../../features/tables.ts';
import type { Envelope } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { type Dag, defineDag, type RunStep } from '../dag.ts';
import { rebuild, rebuildScope } from '../rebuild.ts';

export type Deltas = (event: Envelope) => readonly Delta[];

/** Makes every table equal to what the events add up to, see `rebuild`: as of when it runs, since tables have no past. */
export function backfill(deltas: Deltas): Dag {
  return defineDag({ id: 'backfill', steps: { 'features:backfill': { run: backfillFeatures(deltas) } } });
}

export function backfillFeatures(deltas: Deltas): RunStep {
  return async ({ database, signal, progress, log }) => {
    const result = await rebuild(
      {
        ...{ database, deltas, signal, random: Math.random },
        onProgress: ({ events, eventsInAll, eventsThisRun }) =>
          progress({ done: events, inAll: eventsInAll, doneByUs: eventsThisRun, unit: 'events' }),
      },
      { scope: rebuildScope({}) },
    );
    if (!result.isFinished) signal.throwIfAborted();
    log.info({ changes: result.changes }, 'tables equal the events');
    return { people: result.people, events: result.events };
  };
}
