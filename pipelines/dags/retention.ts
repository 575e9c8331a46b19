import { dropPartitions } from '../../features/partitions-store.ts';
import { type Dag, defineDag, Skipped } from '../dag.ts';

/** Drops months of events that are old as of the run, as the chore of the consumers does. `keepMonths` undefined: none. */
export function retention(keepMonths: number | undefined): Dag {
  return defineDag({
    id: 'retention',
    schedule: '20 3 * * *',
    steps: {
      'events:drop': {
        run: async ({ asOf, database }) => {
          if (keepMonths === undefined) return new Skipped('EVENTS_KEEP_MONTHS is not set: all events are kept');
          const dropped = await dropPartitions(database, { keepMonths, nowMs: Date.parse(asOf) });
          return { dropped: dropped.map(({ name, events }) => ({ name, events })) };
        },
      },
    },
  });
}
