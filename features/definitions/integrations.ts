// Which of a person's integrations work.
import type { DeltaOf } from '../tables.ts';
import { type FeatureGroup, type FeatureOf, newest, type Occurrence } from './feature.ts';

type Status = 'connected' | 'expired';

export const integrations = {
  entity: 'user_id',
  contributes: {
    integrationConnected: (event, { provider }) => [changed(event, provider, 'connected')],
    integrationTokenExpired: (event, { provider }) => [changed(event, provider, 'expired')],
  },
  features: {
    integrations_connected: countOf('connected'),
    integrations_expired: countOf('expired'),
  },
} as const satisfies FeatureGroup;

function changed(
  { userId, eventId, atMs }: Occurrence,
  provider: string,
  status: Status,
): DeltaOf<'user_integrations'> {
  return {
    table: 'user_integrations',
    row: { user_id: userId, provider, changed_at: atMs, changed_event_id: eventId.toLowerCase(), status },
  };
}

function countOf(status: Status): FeatureOf<'user_integrations'> {
  return {
    table: 'user_integrations',
    days: undefined,
    read: (rows) =>
      rows.length === 0
        ? undefined
        : { value: rows.filter((row) => row.status === status).length, asOfMs: newest(rows, 'changed_at') },
  };
}
