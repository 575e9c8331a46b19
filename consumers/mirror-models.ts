import { gateLimits } from '../experiments/gate.ts';
import type { Database } from '../platform/database.ts';
import type { Log } from '../platform/log.ts';
import type { MlflowClient } from '../registry/mlflow/client.ts';
import { MlflowError } from '../registry/mlflow/error.ts';
import { mirror } from '../registry/mlflow/mirror.ts';
import { asOnlyMirror } from '../registry/mlflow/mirror-lock-store.ts';
import { createMirrorSource } from '../registry/mlflow/source.ts';
import { versionPage } from '../registry/mlflow/version-page.ts';
import { createModelStore } from '../registry/model-store.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';
import type { Chore } from './chores.ts';

export interface MirrorModelsDeps {
  readonly database: Database;
  readonly client: MlflowClient;
  readonly log: Pick<Log, 'info' | 'warn'>;
}

/** What nobody but the mirror was to change over there is changed back after this long. */
const lookAgainMs = 3_600_000;

/**
 * Makes MLflow follow the registry. While MLflow is away, that is said once, and everything comes later; where nothing has
 * changed, it costs one call.
 */
export function createMirrorChore({ database, client, log }: MirrorModelsDeps): Chore {
  const source = createMirrorSource({
    models: createModelStore(database),
    rollouts: createRolloutStore(database),
    pageOf: versionPage(gateLimits),
  });
  let known: string | undefined;
  let lookedMs = Number.NEGATIVE_INFINITY;
  let said = '';

  const say = (problem: string) => {
    if (problem !== said && problem !== '') log.warn({ problem }, 'models are not all in MLflow');
    if (problem === '' && said !== '') log.info('models are in MLflow again');
    said = problem;
  };

  const run = async (nowMs: number) => {
    const isStale = nowMs - lookedMs >= lookAgainMs;
    try {
      const done = await asOnlyMirror(database, (stillOurs) =>
        mirror(source, client, { known: isStale ? undefined : known, stillOurs }),
      );
      if (!done) return; // another process is at it
      known = done.state;
      if (isStale) lookedMs = nowMs;
      if (done.changes.length > 0) log.info({ changes: done.changes.length }, 'models mirrored to MLflow');
      say(done.problems.join('; '));
    } catch (error) {
      if (!(error instanceof MlflowError)) throw error;
      say(error.message);
    }
  };
  return { name: 'mlflow', everyMs: 30_000, run };
}
