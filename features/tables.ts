// The tables that events add up to, declared once: the consumers' statement, a rebuild and the test oracle all read
// this. `merge` and `register` columns add: their merge is commutative and associative, so order, duplicates and batch
// size cannot change a result. Tables that have neither hold rows written once, by the one event they belong to.

export type Merge = 'sum' | 'max' | 'min';

export type ColumnType = 'uuid' | 'text' | 'text[]' | 'int[]' | 'int' | 'bigint' | 'float' | 'day' | 'timestamp';

export interface Table {
  readonly key: Readonly<Record<string, ColumnType>>;
  readonly merge: Readonly<Record<string, readonly [Merge, ColumnType]>>;
  /**
   * Columns that change together. Of all contributions the one stays whose `order` columns, compared from left to right,
   * come first (or last). The last of them is the event's id, so that no two are equal.
   */
  readonly register?: {
    readonly keep: 'first' | 'last';
    readonly order: Readonly<Record<string, ColumnType>>;
    readonly carried: Readonly<Record<string, ColumnType>>;
  };
  readonly set: Readonly<Record<string, ColumnType>>;
  /** Columns that no event writes: they are derived from the others later, as their comment in the schema says. */
  readonly derived?: Readonly<Record<string, ColumnType>>;
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
    merge: { done: ['sum', 'int'], weekday: ['max', 'int'], last_done_at: ['max', 'timestamp'] },
    set: {},
  },
  /**
   * These two before `tip_outcomes`: Postgres does the parts of a statement from the last, and whoever rewards locks that
   * first, then the arms, then the prompts.
   */
  prompt_rewards: {
    key: { user_id: 'text', day: 'day', prompt_version: 'text', llm_model: 'text', tip_kind: 'text', policy: 'text' },
    merge: { served: ['sum', 'int'] },
    set: {},
    derived: {
      done: 'int',
      dismissed: 'int',
      snoozed: 'int',
      helpful: 'int',
      not_helpful: 'int',
      reward_milli: 'int',
    },
  },
  experiment_stats: {
    key: { user_id: 'text', experiment: 'text', version: 'text', arm: 'text' },
    merge: { decisions: ['sum', 'bigint'] },
    set: {},
    derived: { rewards: 'bigint', reward_milli: 'bigint' },
  },
  tip_outcomes: {
    key: { user_id: 'text', tip_id: 'text', decision_id: 'uuid' },
    merge: {
      decided_at: ['min', 'timestamp'],
      served_at: ['min', 'timestamp'],
      tip_kind: ['max', 'text'],
      tip_source: ['max', 'text'],
    },
    register: {
      keep: 'first',
      order: { outcome_rank: 'int', outcome_at: 'timestamp', outcome_event_id: 'uuid' },
      carried: { outcome: 'text', dwell_ms: 'bigint' },
    },
    set: {},
    derived: { reward_milli: 'int', reward_version: 'text', reward_event_id: 'uuid' },
  },
  user_tasks: {
    key: { user_id: 'text', provider: 'text' },
    merge: {},
    register: {
      keep: 'last',
      order: { synced_at: 'timestamp', synced_event_id: 'uuid' },
      carried: { open_tasks: 'int', overdue_tasks: 'int' },
    },
    set: {},
  },
  user_health: {
    key: { user_id: 'text', day: 'day', measure: 'text', provider: 'text' },
    merge: {},
    register: {
      keep: 'last',
      order: { sampled_at: 'timestamp', sampled_event_id: 'uuid' },
      carried: { value: 'int' },
    },
    set: {},
  },
  user_integrations: {
    key: { user_id: 'text', provider: 'text' },
    merge: {},
    register: {
      keep: 'last',
      order: { changed_at: 'timestamp', changed_event_id: 'uuid' },
      carried: { status: 'text' },
    },
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
      vector: 'int[]',
      vector_version: 'text',
      experiments: 'text[]',
      experiment_versions: 'text[]',
      experiment_arms: 'text[]',
      elapsed_micros: 'int',
    },
  },
  tip_feedback: {
    key: { user_id: 'text', event_id: 'uuid' },
    merge: {},
    set: {
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
      experiments: 'text[]',
      experiment_versions: 'text[]',
      experiment_arms: 'text[]',
      measurement: 'int',
    },
  },
} as const satisfies Record<string, Table>;

export type TableName = keyof typeof tables;

type Value<Type extends ColumnType> = Type extends 'uuid' | 'text'
  ? string
  : Type extends 'text[]'
    ? readonly string[]
    : Type extends 'int[]'
      ? readonly number[]
      : number;

type KeyOf<Name extends TableName> = {
  readonly [Column in keyof (typeof tables)[Name]['key']]: (typeof tables)[Name]['key'][Column] extends infer Type extends
    ColumnType
    ? Value<Type>
    : never;
};

type MergeOf<Name extends TableName> = {
  readonly [Column in keyof (typeof tables)[Name]['merge']]?: (typeof tables)[Name]['merge'][Column] extends readonly [
    Merge,
    infer Type extends ColumnType,
  ]
    ? Value<Type>
    : never;
};

type RegisterColumns<Name extends TableName> = (typeof tables)[Name] extends {
  readonly register: { readonly order: infer Order; readonly carried: infer Carried };
}
  ? Order & Carried
  : object;

type RegisterOf<Name extends TableName> = {
  readonly [Column in keyof RegisterColumns<Name>]?: RegisterColumns<Name>[Column] extends infer Type extends ColumnType
    ? Value<Type> | undefined
    : never;
};

type SetOf<Name extends TableName> = {
  readonly [Column in keyof (typeof tables)[Name]['set']]: (typeof tables)[Name]['set'][Column] extends infer Type extends
    ColumnType
    ? Value<Type> | null
    : never;
};

/**
 * One row of one table that an event contributes. An absent merge column adds nothing; a register contributes if its
 * order columns are there.
 */
export type DeltaOf<Name extends TableName> = {
  readonly table: Name;
  readonly row: KeyOf<Name> & MergeOf<Name> & RegisterOf<Name> & SetOf<Name>;
};

export type Delta = { [Name in TableName]: DeltaOf<Name> }[TableName];

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** `order` and `carried` are those of the register. */
  readonly role: 'key' | Merge | 'order' | 'carried' | 'set';
}

/** The columns of a table: key first, then those that merge, the register's, and those that are set once. */
export function columnsOf(name: TableName): readonly Column[] {
  const { key, merge, register, set }: Table = tables[name];
  const plain = (columns: Readonly<Record<string, ColumnType>>, role: Column['role']) =>
    Object.entries(columns).map(([name, type]): Column => ({ name, type, role }));
  return [
    ...plain(key, 'key'),
    ...Object.entries(merge).map(([name, [role, type]]): Column => ({ name, type, role })),
    ...plain(register?.order ?? {}, 'order'),
    ...plain(register?.carried ?? {}, 'carried'),
    ...plain(set, 'set'),
  ];
}

export const tableNames = Object.keys(tables) as readonly TableName[];

/** Whether several events can contribute to one row. */
export function isMerged(name: TableName): boolean {
  const { merge, register }: Table = tables[name];
  return register !== undefined || Object.keys(merge).length > 0;
}
