import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { type Cell, columnsOf, metadataOf } from '../../pipelines/training/columns.ts';
import { writeTrainingSet } from '../../pipelines/training/parquet.ts';
import { run } from '../../platform/embedded/process.ts';
import { newFolder } from '../_util/servers.ts';
import { exampleOf, examplesOf, quietWorld } from '../_util/training-examples.ts';

const script = fileURLToPath(new URL('parquet-read.py', import.meta.url));
const columns = columnsOf('all');
const names = columns.map(({ name }) => name);

/** Some of everything that a row can hold, and a row without what can be missing. */
const examples = [
  ...examplesOf({ ...quietWorld, people: 40 }),
  exampleOf({ person: 'open', i: 0, vectors: [[]], propensities: [1], chosen: 0, rewardMilli: null }),
];
let path: string;

beforeAll(async () => {
  const folder = newFolder('parquet');
  await mkdir(folder);
  path = join(folder, 'rows.parquet');
  async function* all() {
    yield* examples;
  }
  const written = await writeTrainingSet(all(), { path, asOfMs: 0, limits: { rows: 30, values: 1e9 } });
  expect(written).toMatchObject({ rows: 201, rowGroups: 7 });
});

interface Read {
  readonly types: Readonly<Record<string, string>>;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly metadata: Readonly<Record<string, string>>;
}

const readWith = async (reader: 'duckdb' | 'pyarrow' | 'pandas'): Promise<Read> =>
  JSON.parse(await run(join(inject('parquet'), 'python'), [script, reader, path], { timeoutMs: 60_000 }));

const plain = (cell: Cell): unknown => {
  if (cell instanceof Date) return cell.getTime();
  return typeof cell === 'bigint' ? Number(cell) : cell;
};
const rows = examples.map((example) => Object.fromEntries(columns.map(({ name, of }) => [name, plain(of(example))])));

describe.each([
  [
    'duckdb',
    {
      decided_at: 'TIMESTAMP WITH TIME ZONE',
      person: 'VARCHAR',
      hour_of_day: 'INTEGER',
      dwell_ms: 'BIGINT',
      propensity: 'DOUBLE',
      verified: 'BOOLEAN',
      vector: 'INTEGER[]',
      degradations: 'VARCHAR[]',
      candidate_propensities: 'DOUBLE[]',
      done_by_hour_30d: 'INTEGER[]',
      completion_rate_30d: 'DOUBLE',
      tips_served_30d: 'INTEGER',
    },
  ],
  [
    'pyarrow',
    {
      decided_at: 'timestamp[ms, tz=UTC] not null',
      outcome_at: 'timestamp[ms, tz=UTC]',
      person: 'string not null',
      hour_of_day: 'int32 not null',
      dwell_ms: 'int64',
      propensity: 'double not null',
      verified: 'bool not null',
      vector: 'list<element: int32 not null> not null',
      degradations: 'list<element: string not null> not null',
      candidate_propensities: 'list<element: double not null> not null',
      done_by_hour_30d: 'list<element: int32 not null>',
      completion_rate_30d: 'double',
      tips_served_30d: 'int32',
    },
  ],
] as const)('%s', (reader, types) => {
  it('reads the very rows, nulls, empty lists and times included, in columns of their types', async () => {
    const read = await readWith(reader);
    expect(Object.keys(read.types)).toEqual(names);
    expect(read.types).toMatchObject(types);
    expect(read.rows).toEqual(rows);
    expect(read.metadata).toMatchObject(Object.fromEntries(metadataOf('all', 0)));
  });
});

describe('pandas', () => {
  it('reads the very rows, by its own types', async () => {
    const read = await readWith('pandas');
    expect(read.types).toMatchObject({ decided_at: 'datetime64[ms, UTC]', hour_of_day: 'int32', verified: 'bool' });
    expect(read.rows).toEqual(rows);
  });
});
