import type { Envelope } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import type { BucketOf, BucketTable } from '../buckets.ts';
import type { Population } from '../population.ts';
import type { Delta } from '../tables.ts';

/** The value of a feature at an instant, and when the newest event behind it occurred. */
export interface Reading {
  /** Several where the feature has several, such as a count for each hour. */
  readonly value: number | readonly number[];
  /** Undefined: no event of the person is behind it, the population stands in. */
  readonly asOfMs: number | undefined;
}

/** How a feature is read out of one table. Pure. */
export type Feature = { [Table in BucketTable]: FeatureOf<Table> }[BucketTable];

export interface FeatureOf<Table extends BucketTable> {
  readonly table: Table;
  /** The window in UTC days, the current one included. Undefined: the table has no days, all its rows are read. */
  readonly days: number | undefined;
  /** Gets the person's rows of the window. Undefined: nothing is known. */
  readonly read: (
    rows: readonly BucketOf<Table>[],
    nowMs: number,
    population: Population | undefined,
  ) => Reading | undefined;
}

/** Who an event is about, which event it is, and when it occurred. */
export interface Occurrence {
  readonly userId: string;
  readonly eventId: string;
  readonly atMs: number;
}

export type PayloadCase = NonNullable<Envelope['payload']['case']>;
type PayloadOf<Case extends PayloadCase> = Extract<Envelope['payload'], { case: Case }>['value'];

/** What each payload adds to a group's tables. Pure. The event is valid. A payload that is not named adds nothing. */
export type Contributions = {
  readonly [Case in PayloadCase]?: (event: Occurrence, payload: PayloadOf<Case>) => readonly Delta[];
};

/** Features that are fed by the same events: what those add, and how each feature is read out of it. */
export interface FeatureGroup {
  /** Whose features they are: the column that leads every key. */
  readonly entity: 'user_id';
  readonly contributes: Contributions;
  readonly features: Readonly<Record<string, Feature>>;
}

/** Rows of any table that say when something was. */
type Dated<Column extends string> = { readonly [C in Column]?: number | undefined };

/** The newest time in a column. Undefined: there is none. */
export function newest<Column extends string>(rows: readonly Dated<Column>[], column: Column): number | undefined {
  return rows.reduce<number | undefined>((latest, row) => laterOf(latest, row[column]), undefined);
}

export function laterOf(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || (b !== undefined && b > a) ? b : a;
}

export function sum<Column extends string>(rows: readonly Dated<Column>[], column: Column): number {
  return rows.reduce((total, row) => total + (row[column] ?? 0), 0);
}
