import { z } from 'zod';
import { StartupError } from './run-main.ts';

/** The environment is not fit to start with. `problems` names every bad variable at once. */
export class ConfigError extends StartupError {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`bad configuration:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/**
 * Reads the variables a schema names out of an environment. An empty variable counts as unset. Throws a ConfigError
 * that lists all problems; values are not repeated in it, since some are secrets.
 */
export function readConfig<Schema extends z.ZodObject>(schema: Schema, env: NodeJS.ProcessEnv): z.infer<Schema> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  throw new ConfigError(result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
}

/** Reads an environment that is for several. Throws one ConfigError with the problems of all. */
export function checkConfig(readers: readonly ((env: NodeJS.ProcessEnv) => unknown)[], env: NodeJS.ProcessEnv): void {
  const problems = readers.flatMap((read) => {
    try {
      read(env);
      return [];
    } catch (error) {
      if (error instanceof ConfigError) return error.problems;
      throw error;
    }
  });
  if (problems.length > 0) throw new ConfigError([...new Set(problems)]);
}

/** A whole number written in digits and nothing else: `8080x` is refused, not read as 8080. */
export function integer(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return z
    .string(message)
    .regex(/^\d{1,15}$/, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message);
}

/** A URL with one of the given schemes. */
export function url(...schemes: readonly string[]) {
  const message = `must be a URL starting with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`;
  return z.string(message).refine((value) => {
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    return parsed !== undefined && schemes.includes(parsed.protocol.slice(0, -1)) && parsed.hostname !== '';
  }, message);
}

export const required = (message: string) => z.string(`is not set: ${message}`);

export const logLevel = z.enum(
  ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
  'must be trace, debug, info, warn, error or silent',
);
