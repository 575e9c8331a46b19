import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from 'hyparquet';
import { vectorNames, vectorVersion } from '../../features/vector.ts';
import { schemaVersion } from './columns.ts';

/** A file that is no training set, or one of another build. */
export class RefusedFile extends Error {}

/** What training and evaluation read of a row. */
export interface FileRow {
  readonly person: string;
  readonly vector_version: string;
  readonly vector: readonly number[];
  readonly reward_milli: number | null;
  readonly tip_kind: string;
  readonly tip_source: string;
  readonly hour_of_day: number;
  readonly time_zone_area: string;
  readonly tenure_days: number | null;
  readonly tips_served_30d: number | null;
  readonly integrations_connected: number | null;
  readonly chosen: number | null;
  readonly candidate_propensities: readonly number[];
  readonly candidate_vectors: readonly number[];
}

export interface TrainingFile {
  readonly rows: number;
  /** Whether there are columns of all features, not of the profile alone. */
  readonly hasAllFeatures: boolean;
  /** The instant that it is as of, if it says so. */
  readonly asOf: string | undefined;
  /** Every time the same rows, of which memory holds one row group. A column that the file does not have is null. */
  read<Name extends keyof FileRow>(columns: readonly Name[]): AsyncGenerator<Pick<FileRow, Name>>;
}

const onlyWithAllFeatures: readonly (keyof FileRow)[] = ['tips_served_30d', 'integrations_connected'];

/** Opens a training set in Parquet. Throws RefusedFile, naming what is wrong, and errors of the file system. */
export async function openTrainingFile(path: string): Promise<TrainingFile> {
  const file = await asyncBufferFromFile(path);
  const metadata = await metadataOf(file, path);
  const names = new Set(metadata.schema.map(({ name }) => name));
  const hasAllFeatures = onlyWithAllFeatures.every((name) => names.has(name));
  return {
    rows: Number(metadata.num_rows),
    hasAllFeatures,
    asOf: keyValue(metadata, 'oo.as_of'),
    async *read(columns) {
      const absent = columns.filter((name) => onlyWithAllFeatures.includes(name) && !names.has(name));
      const present = columns.filter((name) => !absent.includes(name));
      const missing = present.find((name) => !names.has(name));
      if (missing !== undefined) throw new RefusedFile(`${path}: no column ${missing}`);
      const nulls = Object.fromEntries(absent.map((name) => [name, null]));
      let rowStart = 0;
      for (const { num_rows } of metadata.row_groups) {
        const rowEnd = rowStart + Number(num_rows);
        const rows = await parquetReadObjects({ file, metadata, columns: [...present], rowStart, rowEnd });
        for (const row of rows) yield { ...row, ...nulls } as Pick<FileRow, (typeof columns)[number]>;
        rowStart = rowEnd;
      }
    },
  };
}

async function metadataOf(file: AsyncBuffer, path: string): Promise<FileMetaData> {
  const metadata = await parquetMetadataAsync(file).catch((error: unknown) => {
    throw new RefusedFile(`${path}: no Parquet file`, { cause: error });
  });
  const expected = {
    'oo.schema_version': schemaVersion,
    'oo.vector_version': vectorVersion,
    'oo.vector_names': JSON.stringify(vectorNames),
  };
  for (const [key, value] of Object.entries(expected)) {
    const found = keyValue(metadata, key);
    if (found !== value) throw new RefusedFile(`${path}: ${key} is ${found ?? 'not there'}, not ${value}`);
  }
  return metadata;
}

const keyValue = ({ key_value_metadata = [] }: FileMetaData, key: string): string | undefined =>
  key_value_metadata.find((each) => each.key === key)?.value;
