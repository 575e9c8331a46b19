import { extname } from 'node:path';
import type { Learnt } from '../experiments/decide.ts';
import { RefusedLog } from '../experiments/off-policy/row.ts';
import { readCsv, readLines } from './csv.ts';

/**
 * A line of a log of bandit feedback, as it stands in the file. There are two kinds of log: with all candidates of
 * every decision, as our own decisions have them, or with the chosen one alone.
 */
export type LogLine = CandidatesLine | ChosenLine;

interface AnyLine {
  /** From 1. */
  readonly line: number;
  /** Column `user`: whose decision it was. */
  readonly user: string;
  /** Column `reward`. */
  readonly reward: number;
}

export interface CandidatesLine extends AnyLine {
  readonly kind: 'candidates';
  /** Column `chosen`: index of the candidate that was shown, from 0. */
  readonly chosen: number;
  /** Column `propensities`: of every candidate, when it was decided. */
  readonly propensities: readonly number[];
  /** Column `target_probabilities`: of every candidate under the policy to evaluate. */
  readonly targetProbabilities?: readonly number[];
  /** Column `vectors`: one for each candidate, all of the same length. */
  readonly vectors?: readonly (readonly number[])[];
  /** Column `request_id`: what seeds the draws of a policy that draws. */
  readonly requestId?: string;
  /** What policies had learnt by then. Of our own decisions only; no column has it. */
  readonly learnt?: Learnt;
}

export interface ChosenLine extends AnyLine {
  readonly kind: 'chosen';
  /** Column `propensity`. */
  readonly propensity: number;
  /** Column `target_probability`. */
  readonly targetProbability: number;
  /** Columns `q_chosen` and `q_target`. */
  readonly q?: { readonly chosen: number; readonly target: number };
}

/** By the name of a file. Undefined: it is of no kind that can be read. */
export function formatOf(file: string): Format | undefined {
  const extension = extname(file).toLowerCase();
  if (extension === '.csv') return 'csv';
  return extension === '.jsonl' || extension === '.ndjson' ? 'json-lines' : undefined;
}

export type Format = 'csv' | 'json-lines';

/**
 * Reads a log, holding one line at a time. The header, or the first line of JSON, says which columns there are; others
 * than ours are left alone. Throws RefusedLog with line and column of what is not as it should be. That numbers make
 * sense together is for the evaluation to see.
 */
export async function* readBanditLog(bytes: AsyncIterable<Uint8Array>, format: Format): AsyncGenerator<LogLine> {
  const records = format === 'csv' ? csvRecords(decode(bytes)) : jsonRecords(decode(bytes));
  let vectorLength: number | undefined;
  for await (const record of records) {
    const read = readRecord(record);
    if (read.kind === 'candidates' && read.vectors) vectorLength = checkVectors(read, read.vectors, vectorLength);
    yield read;
  }
}

interface LogRecord {
  readonly line: number;
  readonly columns: Columns;
  readonly format: Format;
  readonly values: Values;
}

type Values = Readonly<Record<string, unknown>>;

/** UTF-8, with or without a byte order mark. */
async function* decode(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const read = (chunk?: Uint8Array) => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch {
      throw new RefusedLog('not UTF-8');
    }
  };
  for await (const chunk of bytes) yield read(chunk);
  yield read();
}

async function* csvRecords(chunks: AsyncIterable<string>): AsyncGenerator<LogRecord> {
  let header: readonly string[] | undefined;
  let columns: Columns | undefined;
  for await (const { line, fields } of readCsv(chunks)) {
    if (!header || !columns) {
      header = fields.map((name) => name.trim());
      const twice = header.find((name, i) => header?.indexOf(name) !== i);
      if (twice !== undefined) throw new RefusedLog(`line ${line}: column ${twice} is there twice`);
      columns = columnsOf(line, header);
      continue;
    }
    if (fields.length !== header.length)
      throw new RefusedLog(`line ${line}: ${fields.length} fields, but the header has ${header.length} columns`);
    yield { line, columns, format: 'csv', values: Object.fromEntries(header.map((name, i) => [name, fields[i]])) };
  }
}

async function* jsonRecords(chunks: AsyncIterable<string>): AsyncGenerator<LogRecord> {
  let columns: Columns | undefined;
  for await (const { line, text } of readLines(chunks)) {
    const values = parseJson(text);
    if (typeof values !== 'object' || values === null || Array.isArray(values))
      throw new RefusedLog(`line ${line}: not an object of JSON`);
    columns ??= columnsOf(line, Object.keys(values));
    const more = optionalColumns[columns.kind].find((name) => name in values && !columns?.optional.includes(name));
    if (more !== undefined) throw new RefusedLog(`line ${line}, column ${more}: was not on the first line`);
    yield { line, columns, format: 'json-lines', values: values as Values };
  }
}

interface Columns {
  readonly kind: LogLine['kind'];
  readonly optional: readonly string[];
}

const requiredColumns = {
  candidates: ['user', 'reward', 'chosen', 'propensities'],
  chosen: ['user', 'reward', 'propensity', 'target_probability'],
} as const;

const optionalColumns = {
  candidates: ['target_probabilities', 'vectors', 'request_id'],
  chosen: ['q_chosen', 'q_target'],
} as const;

/** What the header or the first record says of all: they have the same columns. */
function columnsOf(line: number, names: readonly string[]): Columns {
  const kind = names.includes('propensities') ? 'candidates' : 'chosen';
  const optional = optionalColumns[kind].filter((name) => names.includes(name));
  const needed = [...requiredColumns[kind], ...(kind === 'chosen' && optional.length > 0 ? optionalColumns[kind] : [])];
  const missing = needed.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    const hint = kind === 'chosen' && missing.includes('propensity') ? ' (or propensities and chosen)' : '';
    throw new RefusedLog(`line ${line}: no column ${missing.join(', ')}${hint}`);
  }
  return { kind, optional };
}

function readRecord(record: LogRecord): LogLine {
  const {
    line,
    columns: { kind, optional },
  } = record;
  const has = (column: string) => optional.includes(column);
  const any = { line, user: textOf(record, 'user'), reward: numberOf(record, 'reward') };
  if (kind === 'chosen') {
    return {
      ...any,
      kind,
      propensity: numberOf(record, 'propensity'),
      targetProbability: numberOf(record, 'target_probability'),
      ...(has('q_chosen') && { q: { chosen: numberOf(record, 'q_chosen'), target: numberOf(record, 'q_target') } }),
    };
  }
  return {
    ...any,
    kind,
    chosen: numberOf(record, 'chosen'),
    propensities: numbersOf(record, 'propensities'),
    ...(has('target_probabilities') && { targetProbabilities: numbersOf(record, 'target_probabilities') }),
    ...(has('request_id') && { requestId: textOf(record, 'request_id') }),
    ...(has('vectors') && { vectors: listOf(record, 'vectors').map((each) => asNumbers(record, 'vectors', each)) }),
  };
}

/** More would make the reward model slow, and is no vector of features but something else. */
const vectorLengthMax = 256;

/** The length of all vectors so far. */
function checkVectors(
  { line, propensities }: CandidatesLine,
  vectors: readonly (readonly number[])[],
  known: number | undefined,
): number | undefined {
  const refuse = (problem: string) => new RefusedLog(`line ${line}, column vectors: ${problem}`);
  if (vectors.length !== propensities.length)
    throw refuse(`${vectors.length} vectors for ${propensities.length} propensities`);
  const length = known ?? vectors[0]?.length;
  const wrong = vectors.find((vector) => vector.length !== length);
  if (wrong) throw refuse(`a vector of ${wrong.length} entries, not ${length}`);
  if (length !== undefined && length > vectorLengthMax)
    throw refuse(`vectors of ${length} entries, at most ${vectorLengthMax} are allowed`);
  return length;
}

function refuse({ line }: LogRecord, column: string, value: unknown, expected: string): RefusedLog {
  if (value === undefined) return new RefusedLog(`line ${line}, column ${column}: missing`);
  const text = JSON.stringify(value);
  const shown = text.length <= 40 ? text : `${text.slice(0, 40)}…`;
  return new RefusedLog(`line ${line}, column ${column}: ${shown} is ${expected}`);
}

function textOf(record: LogRecord, column: string): string {
  const value = record.values[column];
  if (typeof value !== 'string' || value === '') throw refuse(record, column, value, 'not a text, or empty');
  return value;
}

/** As in JSON; with a sign or without. `Number` would take an empty field for 0, and words for infinite. */
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

function numberOf(record: LogRecord, column: string): number {
  const value = record.values[column];
  const number = record.format === 'csv' && decimal.test(String(value).trim()) ? Number(value) : value;
  return asNumber(record, column, number);
}

function asNumber(record: LogRecord, column: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw refuse(record, column, value, 'not a finite number');
  return value;
}

/** In CSV, a field with an array of JSON in it. */
function listOf(record: LogRecord, column: string): readonly unknown[] {
  const value = record.values[column];
  const list = record.format === 'csv' ? parseJson(String(value)) : value;
  if (!Array.isArray(list)) throw refuse(record, column, value, 'not an array of JSON');
  return list;
}

const numbersOf = (record: LogRecord, column: string): readonly number[] =>
  asNumbers(record, column, listOf(record, column));

function asNumbers(record: LogRecord, column: string, value: unknown): readonly number[] {
  if (!Array.isArray(value)) throw refuse(record, column, value, 'not an array of numbers');
  return value.map((each) => asNumber(record, column, each));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
