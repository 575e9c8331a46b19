/** Why a process cannot start or go on, in words for the person who started it. Printed without a stack. */
export class StartupError extends Error {
  override readonly name: string = 'StartupError';
}

/** Does a step of a start whose errors are meant for the person who starts it. */
export async function startupStep<Result>(step: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await step();
  } catch (error) {
    throw new StartupError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/**
 * Runs a process: `main` gets a signal that SIGINT, SIGTERM or SIGHUP abort, and the process ends when it returns. Exit
 * code 0 after a stop that was asked for, 1 after anything else.
 */
export async function runMain(main: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());
  try {
    await main(stop.signal);
    process.exitCode = stop.signal.aborted ? 0 : 1;
  } catch (error) {
    const isOurStop = stop.signal.aborted && error instanceof Error && error.name === 'AbortError';
    if (!isOurStop) process.stderr.write(`${describe(error)}\n`);
    process.exitCode = isOurStop ? 0 : 1;
  }
  setTimeout(() => process.exit(), 2_000).unref(); // a handle left open must not keep a stopped process alive
}

function describe(error: unknown): string {
  if (error instanceof StartupError) return error.message;
  return error instanceof Error ? String(error.stack) : String(error);
}
