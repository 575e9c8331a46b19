import type { z } from 'zod';
import type { FieldViolation } from './errors.ts';

/** Every problem that a schema found, under its full path. Each field that it does not have is a problem of its own. */
export function violationsOf({ issues }: z.core.$ZodError): FieldViolation[] {
  return issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ field: toPath([...issue.path, key]), description: 'is unknown' }));
    }
    const description = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
    return [{ field: toPath(issue.path), description }];
  });
}

function toPath(path: readonly PropertyKey[]): string {
  return path.map(pathStep).join('').replace(/^\./, '');
}

/** How a path goes on. */
export function pathStep(key: PropertyKey): string {
  if (typeof key === 'number') return `[${key}]`;
  return /^[A-Za-z_]\w*$/.test(String(key)) ? `.${String(key)}` : `[${JSON.stringify(String(key))}]`;
}
