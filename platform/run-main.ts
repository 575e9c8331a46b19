import { ConfigError } from './config.ts';

/**
 * Runs a process: `main` gets a signal that SIGINT or SIGTERM abort, and the process ends when it returns. Exit code 0
 * after a stop that was asked for, 1 after anything else. A bad configuration prints its problems and no stack.
 */
export async function runMain(main: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort());
  try {
    await main(stop.signal);
    process.exitCode = stop.signal.aborted ? 0 : 1;
  } catch (error) {
    process.stderr.write(error instanceof ConfigError ? `${error.message}\n` : `${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  }
  setTimeout(() => process.exit(), 2_000).unref(); // a handle left open must not keep a stopped process alive
}
