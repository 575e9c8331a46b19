import { createHash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import type { SchemaElement } from 'hyparquet';
import { ByteWriter, type ColumnSource, ParquetWriter } from 'hyparquet-writer';
import type { TrainingExample } from '../training-set.ts';
import { type Cell, type Column, type ColumnType, columnsOf, type Features, metadataOf } from './columns.ts';

/** A row group ends with the first row that reaches either: what is held in memory depends on neither data nor length. */
export const rowGroupLimits = { rows: 8_192, values: 1_048_576 } as const;

/** Read by others to know whose habits a file has; no version of ours, or the same rows would give other bytes. */
const createdBy = 'oo-ml version 1';

export interface ParquetOptions {
  readonly path: string;
  readonly features?: Features;
  /** Kept in the metadata. */
  readonly asOfMs?: number | undefined;
  /** Called for each row group once it is in the file, with its rows. */
  readonly onRowGroup?: (rows: number) => void;
  readonly limits?: { readonly rows: number; readonly values: number };
}

export interface WrittenFile {
  readonly rows: number;
  readonly rowGroups: number;
  readonly bytes: number;
  /** Of the file, in hexadecimal. */
  readonly sha256: string;
}

/** A cell that does not have its column's type. Nothing was written. */
export class RefusedCell extends Error {}

/**
 * Writes a training set as Parquet. The same rows and options give the same bytes: nothing of the time, the machine or the
 * process is in them. The file appears when it is complete. Memory holds one row group. Throws RefusedCell, and what the
 * examples throw.
 */
export async function writeTrainingSet(
  examples: AsyncIterable<TrainingExample>,
  { path, features = 'all', asOfMs, onRowGroup, limits = rowGroupLimits }: ParquetOptions,
): Promise<WrittenFile> {
  const columns = columnsOf(features);
  const part = `${path}.part`;
  const file = await open(part, 'w');
  try {
    const writer = createWriter(file);
    const parquet = new ParquetWriter({
      writer,
      schema: schemaOf(columns),
      kvMetadata: metadataOf(features, asOfMs).map(([key, value]) => ({ key, value })),
      createdBy,
    });
    let rows = 0;
    let rowGroups = 0;
    for await (const group of inGroups(examples, columns, limits)) {
      await parquet.write({ columnData: group.columnData, rowGroupSize: group.rows });
      rows += group.rows;
      rowGroups++;
      onRowGroup?.(group.rows);
    }
    await parquet.finish();
    await file.sync();
    await file.close();
    await rename(part, path);
    return { rows, rowGroups, bytes: writer.offset, sha256: writer.digest() };
  } finally {
    await file.close();
    await rm(part, { force: true }); // there only after a failure
  }
}

interface Group {
  readonly rows: number;
  readonly columnData: ColumnSource[];
}

async function* inGroups(
  examples: AsyncIterable<TrainingExample>,
  columns: readonly Column[],
  limits: { readonly rows: number; readonly values: number },
): AsyncGenerator<Group> {
  let cells: Cell[][] = columns.map(() => []);
  let rows = 0;
  let values = 0;
  const end = (): Group => {
    const columnData = columns.map(({ name, type }, i) => ({
      name,
      data: [...(cells[i] ?? [])],
      statistics: !isList(type),
    }));
    const group = { rows, columnData };
    cells = columns.map(() => []);
    rows = 0;
    values = 0;
    return group;
  };
  for await (const example of examples) {
    for (const [i, column] of columns.entries()) {
      const cell = column.of(example);
      refuseUnless(isOfType(cell, column), column, cell);
      cells[i]?.push(cell);
      values += Array.isArray(cell) ? cell.length : 1;
    }
    rows++;
    if (rows >= limits.rows || values >= limits.values) yield end();
  }
  if (rows > 0) yield end();
}

function refuseUnless(isRight: boolean, { name, type }: Column, cell: Cell): void {
  if (!isRight) throw new RefusedCell(`column ${name}: ${cell === null ? 'null' : typeof cell} is no ${type}`);
}

function isOfType(cell: Cell, { type, isNullable }: Column): boolean {
  return cell === null ? isNullable : checks[type](cell);
}

const isInt32 = (value: unknown): boolean => typeof value === 'number' && value === (value | 0);
const isString = (value: unknown): boolean => typeof value === 'string';
const isDouble = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);
const isListOf =
  (is: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.every(is);

const checks: Readonly<Record<ColumnType, (value: unknown) => boolean>> = {
  string: isString,
  boolean: (value) => typeof value === 'boolean',
  int32: isInt32,
  int64: (value) => typeof value === 'bigint' && value === BigInt.asIntN(64, value),
  double: isDouble,
  timestamp: (value) => value instanceof Date && !Number.isNaN(value.getTime()),
  strings: isListOf(isString),
  int32s: isListOf(isInt32),
  doubles: isListOf(isDouble),
};

const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } } as const;

const elements: Readonly<Record<ColumnType, Omit<SchemaElement, 'name'>>> = {
  string: text,
  boolean: { type: 'BOOLEAN' },
  int32: { type: 'INT32' },
  int64: { type: 'INT64' },
  double: { type: 'DOUBLE' },
  timestamp: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MILLIS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
  },
  strings: text,
  int32s: { type: 'INT32' },
  doubles: { type: 'DOUBLE' },
};

const isList = (type: ColumnType): boolean => type === 'strings' || type === 'int32s' || type === 'doubles';

function schemaOf(columns: readonly Column[]): SchemaElement[] {
  return [
    { name: 'training_set', num_children: columns.length },
    ...columns.flatMap(({ name, type, isNullable }): SchemaElement[] => {
      const repetition_type = isNullable ? 'OPTIONAL' : 'REQUIRED';
      if (!isList(type)) return [{ name, ...elements[type], repetition_type }];
      return [
        { name, converted_type: 'LIST', logical_type: { type: 'LIST' }, repetition_type, num_children: 1 },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', ...elements[type], repetition_type: 'REQUIRED' },
      ];
    }),
  ];
}

/** Writes to a file after each row group, and hashes what it writes. */
function createWriter(file: FileHandle) {
  const writer = new ByteWriter();
  const hash = createHash('sha256');
  const flush = async () => {
    const bytes = writer.getBytes();
    hash.update(bytes);
    for (let written = 0; written < bytes.length; )
      written += (await file.write(bytes, written, bytes.length - written)).bytesWritten;
    writer.index = 0;
  };
  return Object.assign(writer, { flush, finish: flush, digest: () => hash.digest('hex') });
}
