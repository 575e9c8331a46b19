import { RefusedLog } from '../experiments/off-policy/row.ts';

/** One record: a line, or several where a quoted field has line breaks in it. */
export interface CsvRecord {
  /** On which it begins, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

/** In characters. More than any record of ours has; what never ends must not fill the memory. */
const recordLengthMax = 2 ** 24;

/**
 * Reads RFC 4180: fields in double quotes may hold commas, line breaks and doubled quotes; lines end with LF or CRLF.
 * Empty lines are left out. Holds one record at a time. Throws RefusedLog.
 */
export async function* readCsv(chunks: AsyncIterable<string>): AsyncGenerator<CsvRecord> {
  let rest = '';
  let line = 1;
  let isQuoted = false;
  for await (const chunk of chunks) {
    const text = rest + chunk;
    let start = 0;
    // what is left over was looked through already, and holds no end of a record
    for (let i = rest.length; i < text.length; i++) {
      const character = text[i];
      if (character === '"') isQuoted = !isQuoted; // a doubled quote turns it off and on again
      if (character !== '\n' || isQuoted) continue;
      const record = text.slice(start, i);
      start = i + 1;
      if (!isBlank(record)) yield { line, fields: fieldsOf(record, line) };
      line += lineBreaksIn(record) + 1;
    }
    rest = text.slice(start);
    if (rest.length > recordLengthMax) throw new RefusedLog(`line ${line}: longer than ${recordLengthMax} characters`);
  }
  if (isQuoted) throw new RefusedLog(`line ${line}: a quote is never closed`);
  if (!isBlank(rest)) yield { line, fields: fieldsOf(rest, line) };
}

/** The lines of a text with their numbers, empty ones left out. Holds one line at a time. Throws RefusedLog. */
export async function* readLines(chunks: AsyncIterable<string>): AsyncGenerator<{ line: number; text: string }> {
  let rest = '';
  let line = 0;
  for await (const chunk of chunks) {
    const texts = (rest + chunk).split('\n');
    rest = texts.pop() ?? '';
    for (const text of texts) {
      line++;
      if (!isBlank(text)) yield { line, text };
    }
    if (rest.length > recordLengthMax)
      throw new RefusedLog(`line ${line + 1}: longer than ${recordLengthMax} characters`);
  }
  if (!isBlank(rest)) yield { line: line + 1, text: rest };
}

/** A record with its line break. */
export function csvLine(fields: readonly string[]): string {
  return `${fields.map((text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(',')}\n`;
}

const isBlank = (text: string): boolean => text.trim() === '';
const lineBreaksIn = (text: string): number => text.split('\n').length - 1;

/** A field in quotes, or one without any; then a comma or the end. */
const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;

function fieldsOf(record: string, line: number): readonly string[] {
  const text = record.endsWith('\r') ? record.slice(0, -1) : record;
  const fields: string[] = [];
  field.lastIndex = 0;
  for (;;) {
    const [, quoted, plain = '', end] = field.exec(text) ?? [];
    if (end === undefined) throw new RefusedLog(`line ${line}: a quote inside field ${fields.length + 1}`);
    fields.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === '') return fields;
  }
}
