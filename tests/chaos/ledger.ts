import { create, equals, fromBinary, toBinary, toJsonString } from '@bufbuild/protobuf';
import { expect } from 'vitest';
import { deltas } from '../../consumers/deltas.ts';
import { rowAsJson, rowOfJson } from '../../features/columns.ts';
import { differenceOf, type Row, startTableFold } from '../../features/table-fold.ts';
import { tableNames } from '../../features/tables.ts';
import { subjects } from '../../gen/proto/oo/contract.ts';
import { type Envelope, EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import type { Bus } from '../../platform/bus.ts';
import type { Database } from '../../platform/database.ts';
import { newId } from '../../platform/ids.ts';

/** How a valid event travels. All forms of one event mean the same. */
export interface Form {
  readonly isJson: boolean;
  readonly isUpperCase: boolean;
  /** On another subject that is accepted for it, where there is one: maybe another stream and another durable. */
  readonly isElsewhere: boolean;
}

export const plainForm: Form = { isJson: false, isUpperCase: false, isElsewhere: false };

/** What was published, and so what the tables and the dead letters must come to hold. */
export interface Ledger {
  /**
   * Publishes a valid event, in a message of its own even if the event was published before. The first of an id
   * counts: another event under the same id may only be published once the first has been stored.
   */
  publish(event: Envelope, form?: Form): Promise<void>;
  /** Publishes a message that can never be stored. `like`: a valid event to spoil. */
  publishBad(kind: BadKind, like: Envelope): Promise<void>;
  /** The distinct valid events, by id. */
  readonly events: ReadonlyMap<string, Envelope>;
  /** Messages with an event that an earlier one had. */
  readonly repeats: number;
  readonly badMessages: number;
  /** Fails unless, everything being settled, all tables and the stream of dead letters hold exactly what they must. */
  check(): Promise<void>;
}

const publishMs = 300_000;

export function createLedger({ bus, database }: { readonly bus: Bus; readonly database: Database }): Ledger {
  const events = new Map<string, Envelope>();
  const badPlaces: string[] = [];
  let repeats = 0;

  const send = (subject: string, data: Uint8Array, headers: Readonly<Record<string, string>>) =>
    bus.publish(subject, data, { id: newId(Date.now()), headers, timeoutMs: publishMs });

  return {
    async publish(event, form = plainForm) {
      if (event.payload.case === undefined) throw new Error('an event without a payload');
      const id = event.eventId.toLowerCase();
      if (events.has(id)) repeats++;
      else events.set(id, event);
      const sent = form.isUpperCase ? { ...event, eventId: event.eventId.toUpperCase() } : event;
      const { subject, alsoAccepted } = subjects[event.payload.case];
      const other: string | undefined = alsoAccepted[0];
      await send(
        form.isElsewhere && other !== undefined ? other : subject,
        form.isJson ? jsonOf(sent) : toBinary(EnvelopeSchema, sent),
        form.isJson ? jsonHeaders : {},
      );
    },

    async publishBad(kind, like) {
      const { subject, data, headers } = spoil[kind](like);
      const { sequence } = await send(subject, data, headers);
      badPlaces.push(`${subject.split('.')[0]} ${sequence}`);
    },

    events,
    get repeats() {
      return repeats;
    },
    get badMessages() {
      return badPlaces.length;
    },

    async check() {
      const found = await readTables(database);
      const own = found.events.filter(({ producer }) => producer !== 'oo-ml');
      const idsOf = (all: readonly Envelope[]) => all.map(({ eventId }) => eventId.toLowerCase()).toSorted();
      expect(idsOf(own)).toEqual([...events.keys()].toSorted());
      for (const event of own) {
        const expected = events.get(event.eventId.toLowerCase());
        if (!expected || !equals(EnvelopeSchema, { ...event, eventId: expected.eventId }, expected)) {
          expect(event).toEqual(expected); // the first of its id, not another one
        }
      }
      // What the chores say of open tips is stored and counts like any other event.
      expectFold(found, [...events.values(), ...found.events.filter(({ producer }) => producer === 'oo-ml')]);
      const wanted = badPlaces.toSorted();
      expect((await readLetters(bus)).toSorted()).toEqual(wanted);
      expect(found.letters.toSorted()).toEqual(wanted);
    },
  };
}

/** Fails unless the tables hold what the events that are stored at this moment add up to, whatever is still under way. */
export async function expectTablesToEqualTheirEvents(database: Database): Promise<void> {
  const found = await readTables(database);
  expectFold(found, found.events);
}

function expectFold(found: Tables, events: readonly Envelope[]): void {
  const fold = startTableFold(tableNames);
  for (const event of events) fold.add(deltas(event));
  const differences = tableNames
    .map((table) => differenceOf(table, fold.tables.get(table) ?? new Map(), found.rows.get(table) ?? [], undefined))
    .filter(({ missing, differing, surplus }) => missing.length + differing.length + surplus.length > 0);
  expect(differences).toEqual([]);
  expect(found.ids).toBe(events.length);
}

interface Tables {
  readonly events: readonly Envelope[];
  /** How many ids count as used. */
  readonly ids: number;
  readonly rows: ReadonlyMap<string, readonly Row[]>;
  /** Stream and sequence of every dead letter, as often as it was seen. */
  readonly letters: readonly string[];
}

/** Everything at one instant of the database. */
async function readTables(database: Database): Promise<Tables> {
  const client = await database.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    const stored = await client.query<{ envelope: Buffer }>('SELECT envelope FROM events');
    const ids = await client.query<{ count: number }>('SELECT count(*)::int AS count FROM event_ids');
    const rows = new Map<string, readonly Row[]>();
    for (const table of tableNames) {
      const json = await client.query<{ row: readonly unknown[] }>(`SELECT ${rowAsJson(table)} AS row FROM ${table}`);
      rows.set(
        table,
        json.rows.map(({ row }) => rowOfJson(table, row)),
      );
    }
    const letters = await client.query<{ place: string }>(
      "SELECT stream || ' ' || stream_sequence AS place FROM dead_letters, unnest(sequences)",
    );
    await client.query('COMMIT');
    client.release();
    return {
      events: stored.rows.map(({ envelope }) => fromBinary(EnvelopeSchema, envelope)),
      ids: ids.rows[0]?.count ?? 0,
      rows,
      letters: letters.rows.map(({ place }) => place),
    };
  } catch (error) {
    client.release(true);
    throw error;
  }
}

/** Stream and sequence of every message among the dead letters. */
async function readLetters(bus: Bus): Promise<readonly string[]> {
  const { lastSequence } = await bus.inspect('deadletters');
  const sequences = Array.from({ length: lastSequence }, (_, i) => i + 1);
  const letters = [];
  for (const sequence of sequences) {
    const { subject, headers } = await bus.read('deadletters', sequence);
    letters.push(`${subject.replace('deadletters.', '')} ${headers['Oo-Stream-Sequence']}`);
  }
  return letters;
}

const jsonHeaders = { 'Content-Type': 'application/json' };

function jsonOf(event: Envelope): Uint8Array {
  return new TextEncoder().encode(toJsonString(EnvelopeSchema, event));
}

interface BadMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

const served = 'signals.tip.served';

const message = (data: Uint8Array, subject = served): BadMessage => ({ subject, data, headers: {} });

/** The event as a tip that was shown, with something changed. */
function changed(event: Envelope, change: Partial<Envelope>): Uint8Array {
  const payload = create(EnvelopeSchema, { payload: { case: 'tipServed', value: { tipId: 't' } } }).payload;
  return toBinary(EnvelopeSchema, { ...event, payload, ...change });
}

/** Messages that can never be stored: one of each kind that is refused, under the id of an event that may be stored. */
const spoil = {
  nothing: () => message(new Uint8Array()),
  garbage: () => message(new Uint8Array([1, 2, 3])),
  'cut off': (event: Envelope) => message(changed(event, {}).slice(0, -3)),
  'JSON without its header': (event: Envelope) => message(jsonOf(event)),
  'binary that claims to be JSON': (event: Envelope) => ({ ...message(changed(event, {})), headers: jsonHeaders }),
  'a later version': (event: Envelope) => message(changed(event, { schemaVersion: 'v9' })),
  'no person': (event: Envelope) => message(changed(event, { userId: '' })),
  'a NUL': (event: Envelope) => message(changed(event, { userId: 'a\0b' })),
  'an id that is no UUID': (event: Envelope) => message(changed(event, { eventId: 'seven' })),
  'no payload': (event: Envelope) => message(changed(event, { payload: { case: undefined } })),
  'the subject of another': (event: Envelope) => message(changed(event, {}), 'feedback.tip.reacted'),
  'a subject of nobody': (event: Envelope) => message(changed(event, {}), 'decisions.tip.unheard'),
} as const satisfies Record<string, (event: Envelope) => BadMessage>;

export type BadKind = keyof typeof spoil;

export const badKinds = Object.keys(spoil) as readonly BadKind[];
