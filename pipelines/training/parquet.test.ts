import { hash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { vectorNames } from '../../features/vector.ts';
import { exampleOf, examplesOf, quietWorld } from '../../tests/_util/training-examples.ts';
import type { TrainingExample } from '../training-set.ts';
import { columnsOf, metadataOf } from './columns.ts';
import { RefusedCell, rowGroupLimits, writeTrainingSet } from './parquet.ts';
import { foldOf, isHeldOut, pseudonymOf } from './people.ts';
import { openTrainingFile, RefusedFile } from './read.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oo-parquet-'));
  path = join(folder, 'rows.parquet');
});
afterEach(() => rm(folder, { recursive: true }));

const examples = [...examplesOf(quietWorld)];

async function* streamOf<Each>(all: Iterable<Each>): AsyncGenerator<Each> {
  yield* all;
}

const allOf = async <Each>(stream: AsyncIterable<Each>): Promise<Each[]> => {
  const all: Each[] = [];
  for await (const each of stream) all.push(each);
  return all;
};

describe('a training set in Parquet', () => {
  it('is the same, byte for byte, for the same rows, and says its SHA-256, size and rows', async () => {
    const first = await writeTrainingSet(streamOf(examples), { path });
    const bytes = await readFile(path);
    const second = await writeTrainingSet(streamOf(examples), { path: join(folder, 'again.parquet') });
    expect(second).toEqual(first);
    expect(first).toMatchObject({ rows: 300, bytes: bytes.length, sha256: hash('sha256', bytes) });
    expect(bytes.equals(await readFile(join(folder, 'again.parquet')))).toBe(true);
    const fewer = await writeTrainingSet(streamOf(examples.slice(1)), { path });
    expect(fewer.sha256).not.toBe(first.sha256);
  });

  it('has every cell as its column says', async () => {
    await writeTrainingSet(streamOf(examples), { path });
    const read = await parquetReadObjects({ file: await asyncBufferFromFile(path) });
    const rows = read.map((row) => Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, cell ?? null]))); // a list that is null is undefined
    const columns = columnsOf('all');
    expect(rows).toEqual(
      examples.map((example) => Object.fromEntries(columns.map(({ name, of }) => [name, of(example)]))),
    );
  });

  it('says of itself what its columns mean, and nothing of when and where it was written', async () => {
    await writeTrainingSet(streamOf(examples), { path, asOfMs: Date.UTC(2026, 10, 23) });
    const metadata = await parquetMetadataAsync(await asyncBufferFromFile(path));
    const own = Object.fromEntries((metadata.key_value_metadata ?? []).map(({ key, value }) => [key, value ?? '']));
    expect(own).toMatchObject({
      'oo.schema_version': '1',
      'oo.vector_version': '1',
      'oo.vector_names': JSON.stringify(vectorNames),
      'oo.as_of': '2026-11-23T00:00:00.000Z',
    });
    expect(Object.keys(JSON.parse(own['oo.columns'] ?? ''))).toEqual(columnsOf('all').map(({ name }) => name));
    expect(metadata.created_by).toBe('oo-ml version 1');
    expect(metadataOf('all', undefined).map(([key]) => key)).not.toContain('oo.as_of');
  });

  it('has columns with different names, each with a meaning, and those of the profile alone if asked', () => {
    for (const features of ['all', 'profile'] as const) {
      const columns = columnsOf(features);
      expect(new Set(columns.map(({ name }) => name)).size).toBe(columns.length);
      expect(columns.filter(({ meaning }) => meaning.length < 4)).toEqual([]);
    }
    const typed = new Map(columnsOf('all').map(({ name, type }) => [name, type]));
    expect(typed.get('done_by_hour_30d')).toBe('int32s');
    expect(typed.get('completion_rate_30d')).toBe('double');
    expect(typed.get('tips_served_30d')).toBe('int32');
    const profile = columnsOf('profile').map(({ name }) => name);
    expect(profile).toContain('tip_volume_30d');
    expect(profile).not.toContain('tips_served_30d');
  });

  it('holds one row group in memory: no row is taken before those of the group before are in the file', async () => {
    let taken = 0;
    let written = 0;
    const held: number[] = [];
    async function* counted() {
      for (const example of examples) {
        held.push(++taken - written);
        yield example;
      }
    }
    const onRowGroup = (rows: number) => {
      written += rows;
    };
    const limits = { rows: 32, values: 1e9 };
    expect(await writeTrainingSet(counted(), { path, limits, onRowGroup })).toMatchObject({ rows: 300, rowGroups: 10 });
    expect(Math.max(...held)).toBe(32);
    expect(written).toBe(300);
    const { row_groups } = await parquetMetadataAsync(await asyncBufferFromFile(path));
    expect(row_groups.map(({ num_rows }) => Number(num_rows))).toEqual([...Array(9).fill(32), 12]);
  });

  it('ends a row group early where rows have many candidates', async () => {
    const wide = [...examplesOf({ ...quietWorld, people: 4, candidates: 100 })];
    const limits = { ...rowGroupLimits, values: 5_000 };
    const { rowGroups } = await writeTrainingSet(streamOf(wide), { path, limits });
    expect(rowGroups).toBe(5); // some 1,400 values in each of 20 rows
  });

  it('has no rows where there are none', async () => {
    expect(await writeTrainingSet(streamOf([]), { path })).toMatchObject({ rows: 0, rowGroups: 0 });
    expect(await allOf((await openTrainingFile(path)).read(['person']))).toEqual([]);
  });

  const [example] = examples;
  const row = (changes: object): TrainingExample => ({ ...example, ...changes }) as TrainingExample;
  const ofRow = (changes: object) => row({ row: { ...example?.row, ...changes } });
  it.each<[string, TrainingExample, string]>([
    ['a propensity that is no number', ofRow({ propensity: Number.NaN }), 'column propensity: number is no double'],
    ['an entry that is broken', ofRow({ vector: [0.5] }), 'column vector: object is no int32s'],
    ['a count beyond 32 bits', ofRow({ candidates: 2 ** 31 }), 'column candidates: number is no int32'],
    ['no time', ofRow({ decided_at: 'today' }), 'column decided_at: object is no timestamp'],
    ['a null where there must be something', ofRow({ policy: null }), 'column policy: null is no string'],
    ['a broken count', ofRow({ features: { tips_served_30d: 1.5 } }), 'column tips_served_30d: number is no int32'],
    ['a list of nulls', row({ propensities: [null] }), 'column candidate_propensities: object is no doubles'],
  ])('is refused with %s, and the file that was there stays', async (_, wrong, message) => {
    await writeFile(path, 'before');
    const writing = writeTrainingSet(streamOf([...examples.slice(0, 5), wrong]), { path });
    await expect(writing).rejects.toThrow(new RefusedCell(message));
    expect(await readdir(folder)).toEqual(['rows.parquet']);
    expect(await readFile(path, 'utf8')).toBe('before');
  });

  it('does not appear where the rows end in an error', async () => {
    async function* broken() {
      yield* examples;
      throw new Error('the database went away');
    }
    const limits = { rows: 32, values: 1e9 };
    await expect(writeTrainingSet(broken(), { path, limits })).rejects.toThrow('the database went away');
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('a training set that is read', () => {
  it('gives the columns that are asked for, row by row, as often as asked', async () => {
    await writeTrainingSet(streamOf(examples), { path, limits: { rows: 64, values: 1e9 } });
    const file = await openTrainingFile(path);
    expect(file).toMatchObject({ rows: 300, hasAllFeatures: true, asOf: undefined });
    const expected = examples.map(({ person, row }) => ({
      person,
      reward_milli: row.reward_milli,
      vector: row.vector,
    }));
    expect(await allOf(file.read(['person', 'reward_milli', 'vector']))).toEqual(expected);
    expect(await allOf(file.read(['person', 'reward_milli', 'vector']))).toEqual(expected);
  });

  it('has nulls for features that the file does not have', async () => {
    await writeTrainingSet(streamOf(examples.slice(0, 2)), { path, features: 'profile' });
    const file = await openTrainingFile(path);
    expect(file.hasAllFeatures).toBe(false);
    expect((await allOf(file.read(['tips_served_30d']))).map(({ tips_served_30d }) => tips_served_30d)).toEqual([
      null,
      null,
    ]);
  });

  it('is refused where it is none, or of another build', async () => {
    await writeFile(path, 'PAR1 or so');
    await expect(openTrainingFile(path)).rejects.toThrow(new RefusedFile(`${path}: no Parquet file`));
    await writeFile(path, foreign([]));
    await expect(openTrainingFile(path)).rejects.toThrow(`${path}: oo.schema_version is not there, not 1`);
    await writeFile(path, foreign([{ key: 'oo.schema_version', value: '2' }]));
    await expect(openTrainingFile(path)).rejects.toThrow(`${path}: oo.schema_version is 2, not 1`);
    const ours = metadataOf('all', undefined).map(([key, value]) => ({ key, value }));
    await writeFile(
      path,
      foreign(ours.map((pair) => (pair.key === 'oo.vector_version' ? { ...pair, value: '9' } : pair))),
    );
    await expect(openTrainingFile(path)).rejects.toThrow(`${path}: oo.vector_version is 9, not 1`);
    await writeFile(path, foreign(ours));
    await expect(allOf((await openTrainingFile(path)).read(['vector']))).rejects.toThrow(`${path}: no column vector`);
    await expect(openTrainingFile(join(folder, 'none'))).rejects.toThrow('ENOENT');
  });
});

function foreign(kvMetadata: { key: string; value: string }[]): Uint8Array {
  const writer = new ByteWriter();
  const schema = [{ name: 'root', num_children: 1 }, { name: 'a', type: 'INT32' } as const];
  const parquet = new ParquetWriter({ writer, schema, kvMetadata });
  parquet.write({ columnData: [{ name: 'a', data: [1] }] });
  parquet.finish();
  return writer.getBytes();
}

describe('a person in a training set', () => {
  it('has the same name in every file, which is not their id', () => {
    expect(pseudonymOf('anna')).toBe(hash('sha256', 'oo training set\0anna').slice(0, 32));
    expect(
      JSON.stringify(exampleOf({ person: 'anna', i: 0, vectors: [[]], propensities: [1], chosen: 0, rewardMilli: 1 })),
    ).not.toContain('anna');
  });

  it('is held out or not, with whoever is in a smaller share, and in a fold that has nothing to do with it', () => {
    const people = Array.from({ length: 2_000 }, (_, i) => pseudonymOf(`person-${i}`));
    const out = people.filter((person) => isHeldOut(person, 0.2));
    expect(out.length).toBeGreaterThan(340);
    expect(out.length).toBeLessThan(460);
    expect(people.filter((person) => isHeldOut(person, 0.1)).every((person) => out.includes(person))).toBe(true);
    expect(people.filter((person) => isHeldOut(person, 1))).toHaveLength(2_000);
    for (const group of [out, people]) {
      const sizes = [0, 1, 2, 3, 4].map(
        (fold) => group.filter((person) => foldOf(person, 5) === fold).length / group.length,
      );
      for (const size of sizes) expect(Math.abs(size - 0.2)).toBeLessThan(0.06);
    }
  });
});
