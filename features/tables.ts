// The tables that events add up to, declared once: the consumers' statement, a rebuild and the test oracle all read
// this. `merge` columns add: their merge is commutative and associative, so order, duplicates and batch size cannot
// change a result. Rows of tables without merge columns are written once, by the one event they belong to.

export type Merge = 'sum' | 'max' | 'min';

export type ColumnType = 'uuid' | 'text' | 'text[]' | 'int' | 'bigint' | 'float' | 'day' | 'timestamp';

export interface Table {
  readonly key: Readonly<Record<string, ColumnType>>;
  readonly merge: Readonly<Record<string, readonly [Merge, ColumnType]>>;
  readonly set: Readonly<Record<string, ColumnType>>;
}

/** Days are counted from 1970-01-01 UTC, timestamps are milliseconds since then, sums are exact integers. */
export const tables = {
  user_daily: {
    key: { user_id: 'text', day: 'day' },
    merge: {
      served: ['sum', 'int'],
      done: ['sum', 'int'],
      dismissed: ['sum', 'int'],
      snoozed: ['sum', 'int'],
      helpful: ['sum', 'int'],
      not_helpful: ['sum', 'int'],
      dwell_ms: ['sum', 'bigint'],
      dwell_count: ['sum', 'int'],
      last_served_at: ['max', 'timestamp'],
      last_reaction_at: ['max', 'timestamp'],
    },
    set: {},
  },
  user_hourly: {
    key: { user_id: 'text', day: 'day', hour: 'int' },
    merge: { done: ['sum', 'int'], last_done_at: ['max', 'timestamp'] },
    set: {},
  },
  tip_scores: {
    key: { decision_id: 'uuid' },
    merge: {},
    set: {
      request_id: 'uuid',
      user_id: 'text',
      tip_id: 'text',
      decided_at: 'timestamp',
      policy: 'text',
      policy_version: 'text',
      model_version: 'text',
      tip_kind: 'text',
      tip_source: 'text',
      llm_model: 'text',
      prompt_version: 'text',
      score: 'float',
      propensity: 'float',
      candidates: 'int',
      degradations: 'text[]',
    },
  },
  tip_feedback: {
    key: { event_id: 'uuid' },
    merge: {},
    set: {
      user_id: 'text',
      tip_id: 'text',
      decision_id: 'uuid',
      reaction: 'text',
      dwell_ms: 'bigint',
      reward_milli: 'int',
      reward_version: 'text',
      reacted_at: 'timestamp',
    },
  },
  generated_tips: {
    key: { event_id: 'uuid', tip_id: 'text' },
    merge: {},
    set: {
      user_id: 'text',
      generated_at: 'timestamp',
      tip_kind: 'text',
      tip_source: 'text',
      llm_model: 'text',
      prompt_version: 'text',
      prompt_hash: 'text',
      signal_ids: 'text[]',
    },
  },
} as const satisfies Record<string, Table>;

export type TableName = keyof typeof tables;

type Value<Type extends ColumnType> = Type extends 'uuid' | 'text'
  ? string
  : Type extends 'text[]'
    ? readonly string[]
    : number;

type KeyOf<Name extends TableName> = {
  readonly [Column in keyof (typeof tables)[Name]['key']]: (typeof tables)[Name]['key'][Column] extends infer Type extends
    ColumnType
    ? Value<Type>
    : never;
};

type MergeOf<Name extends TableName> = { readonly [Column in keyof (typeof tables)[Name]['merge']]?: number };

type SetOf<Name extends TableName> = {
  readonly [Column in keyof (typeof tables)[Name]['set']]: (typeof tables)[Name]['set'][Column] extends infer Type extends
    ColumnType
    ? Value<Type> | null
    : never;
};

/** One row of one table that an event contributes. An absent merge column adds nothing. */
export type DeltaOf<Name extends TableName> = {
  readonly table: Name;
  readonly row: KeyOf<Name> & MergeOf<Name> & SetOf<Name>;
};

export type Delta = { [Name in TableName]: DeltaOf<Name> }[TableName];

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly role: 'key' | Merge | 'set';
}

/** The columns of a table: key first, then those that merge, then those that are set once. */
export function columnsOf(name: TableName): readonly Column[] {
  const { key, merge, set }: Table = tables[name];
  return [
    ...Object.entries(key).map(([name, type]): Column => ({ name, type, role: 'key' })),
    ...Object.entries(merge).map(([name, [role, type]]): Column => ({ name, type, role })),
    ...Object.entries(set).map(([name, type]): Column => ({ name, type, role: 'set' })),
  ];
}

export const tableNames = Object.keys(tables) as readonly TableName[];
