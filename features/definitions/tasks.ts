// How much a person has on their task lists. Each sync says all there is, so the newest of each list counts.
import type { BucketOf } from '../buckets.ts';
import { type FeatureGroup, type FeatureOf, newest, type Reading, sum } from './feature.ts';

export const tasks = {
  entity: 'user_id',
  contributes: {
    taskSynced: ({ userId, eventId, atMs }, { provider, openTasks, overdueTasks }) => [
      {
        table: 'user_tasks',
        row: {
          user_id: userId,
          provider,
          synced_at: atMs,
          synced_event_id: eventId.toLowerCase(),
          open_tasks: openTasks,
          overdue_tasks: overdueTasks,
        },
      },
    ],
  },
  features: {
    open_tasks: overLists((lists) => sum(lists, 'open_tasks')),
    overdue_tasks: overLists((lists) => sum(lists, 'overdue_tasks')),
    seconds_since_tasks_synced: overLists((lists, nowMs) =>
      Math.max(0, Math.floor((nowMs - (newest(lists, 'synced_at') ?? nowMs)) / 1000)),
    ),
  },
} as const satisfies FeatureGroup;

function overLists(
  read: (lists: readonly BucketOf<'user_tasks'>[], nowMs: number) => Exclude<Reading['value'], readonly number[]>,
): FeatureOf<'user_tasks'> {
  return {
    table: 'user_tasks',
    days: undefined,
    read: (lists, nowMs) =>
      lists.length === 0 ? undefined : { value: read(lists, nowMs), asOfMs: newest(lists, 'synced_at') },
  };
}
