import type { z } from 'zod';

/** A file that nothing can be learnt from. Its message says where and why, without what the line holds. */
export class RefusedLine extends Error {
  override readonly name = 'RefusedLine';
}

const linesMax = 10_000;

/** The lines of JSON of a text, each read by `read`. Empty ones are left out. Throws a `RefusedLine`. */
export function readLines<Value>(text: string, read: (line: unknown) => Value): readonly Value[] {
  const lines = text.split('\n');
  if (lines.length > linesMax) throw new RefusedLine(`more than ${linesMax} lines`);
  return lines.flatMap((line, i) => {
    if (line.trim() === '') return [];
    try {
      return [read(parseJson(line))];
    } catch (error) {
      if (error instanceof RefusedLine) throw new RefusedLine(`line ${i + 1}: ${error.message}`);
      throw error;
    }
  });
}

/** The line, if it is of this form. */
export function checkForm<Value>(schema: z.ZodType<Value>, line: unknown): Value {
  const { data, error } = schema.safeParse(line);
  if (!error) return data;
  const [issue] = error.issues;
  throw new RefusedLine(`${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim());
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new RefusedLine('is no JSON');
  }
}
