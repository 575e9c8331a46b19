import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { openArtifacts } from '../pipelines/artifacts.ts';
import type { StepDeps } from '../pipelines/perform-step.ts';
import { logLevel, readConfig } from '../platform/config.ts';
import { openDatabase } from '../platform/database.ts';
import { createLog } from '../platform/log.ts';
import { withDatabaseUrl } from './local-database.ts';
import { createProgress } from './progress.ts';
import { createStepProgress } from './step-progress.ts';

const defaultFolder = fileURLToPath(new URL('../.oo/artifacts', import.meta.url));
const schema = z.object({ ARTIFACTS_DIR: z.string().default(defaultFolder), LOG_LEVEL: logLevel.default('info') });

export interface PipelineDeps extends StepDeps {
  readonly url: string;
  /** Where progress is shown: its line is ended before another one is written. */
  readonly progress: ReturnType<typeof createProgress>;
}

/**
 * Does something with what steps need, as the environment says. `parallel`: steps at the same time. Nothing is written to
 * stdout; a terminal on stderr gets progress bars, anything else log lines. SIGINT, SIGTERM and SIGHUP ask for a stop, a
 * second one ends the process.
 */
export function withPipelines<Result>(
  { name, parallel }: { readonly name: string; readonly parallel: number },
  work: (deps: PipelineDeps) => Promise<Result>,
): Promise<Result> {
  const { ARTIFACTS_DIR, LOG_LEVEL } = readConfig(schema, process.env);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort());
  const isTerminal = process.stderr.isTTY === true;
  const log = createLog({ name, level: LOG_LEVEL, pretty: isTerminal, to: 'stderr' });
  const progress = createProgress(process.stderr, () => performance.now());
  const onProgress = createStepProgress(isTerminal ? progress : undefined, log, () => performance.now());
  return withDatabaseUrl(async (url) => {
    const database = openDatabase({ url, applicationName: `oo-${name}`, maxConnections: 2 + 4 * parallel });
    try {
      const artifacts = openArtifacts(resolve(ARTIFACTS_DIR));
      return await work({ url, database, artifacts, log, signal: stop.signal, onProgress, progress });
    } finally {
      progress.end();
      await database.end();
    }
  });
}
