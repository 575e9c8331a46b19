import { type KeptEvent, readHistory } from '../features/history-store.ts';
import type { Database } from '../platform/database.ts';
import { isSampled } from './point-in-time.ts';

/** All that is stored of one person. */
export interface History {
  readonly userId: string;
  readonly events: readonly KeptEvent[];
  /** Events that were stored before this UTC day may have been dropped. Undefined: none were. */
  readonly completeFromDay: number | undefined;
}

export interface Selection {
  /** Default: everybody. */
  readonly userIds?: readonly string[] | undefined;
  /** The share of them to take, by the hash of their ids, so that a person is in it as a whole or not at all. */
  readonly sample?: number | undefined;
}

const peopleAtOnce = 100;

/**
 * The histories of people, one after another in the order of their ids. Memory holds one person and one page. Each is
 * read as of one instant of the database.
 */
export async function* readHistories(
  database: Database,
  { userIds, sample = 1 }: Selection = {},
): AsyncGenerator<History> {
  for await (const page of userIds ? pagesOf(userIds.toSorted()) : readPeople(database)) {
    const people = page.filter((userId) => isSampled(userId, sample));
    if (people.length > 0) yield* readConsistently(database, people);
  }
}

function* pagesOf(userIds: readonly string[]): Generator<readonly string[]> {
  for (let i = 0; i < userIds.length; i += peopleAtOnce) yield userIds.slice(i, i + peopleAtOnce);
}

async function* readPeople(database: Database): AsyncGenerator<readonly string[]> {
  let after: string | undefined = '';
  while (after !== undefined) {
    const { rows }: { rows: { user_id: string }[] } = await database.query({
      name: 'read-people-of-events',
      text: `SELECT DISTINCT user_id FROM events WHERE user_id > $1 ORDER BY user_id LIMIT ${peopleAtOnce}`,
      values: [after],
    });
    yield rows.map(({ user_id }) => user_id);
    after = rows.length < peopleAtOnce ? undefined : rows.at(-1)?.user_id;
  }
}

/** In one transaction, in which no month can be dropped between looking what was and reading what is left. */
async function* readConsistently(database: Database, userIds: readonly string[]): AsyncGenerator<History> {
  const client = await database.connect();
  let isDone = false;
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await client.query('LOCK TABLE events IN ACCESS SHARE MODE');
    const { rows } = await client.query<{ day: number | null }>(
      "SELECT max(to_day) - date '1970-01-01' AS day FROM dropped_partitions",
    );
    const completeFromDay = rows[0]?.day ?? undefined;
    for await (const { userId, events } of byPerson(readHistory(client, userIds))) {
      yield { userId, events, completeFromDay };
    }
    await client.query('COMMIT');
    isDone = true;
  } finally {
    client.release(!isDone); // one that is left in the middle is closed
  }
}

async function* byPerson(events: AsyncIterable<KeptEvent>) {
  let of: { readonly userId: string; readonly events: KeptEvent[] } | undefined;
  for await (const event of events) {
    if (of?.userId !== event.userId) {
      if (of) yield of;
      of = { userId: event.userId, events: [] };
    }
    of.events.push(event);
  }
  if (of) yield of;
}
