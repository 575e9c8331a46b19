import { type ExperimentSet, parseExperiments } from '../../experiments/experiment.ts';
import { createExperimentStore } from '../../experiments/experiment-store.ts';
import { policies } from '../../experiments/policies/index.ts';
import { waitFor } from '../../scripts/demo/wait-for.ts';
import type { Loop } from './loop.ts';
import { clearPolicies } from './rollouts.ts';

const choices = {
  policies: new Set(policies.keys()),
  promptVersions: new Set(['v1', 'v2-mentor', 'v3-few-shot']),
};

/** Puts experiments in force, whatever policies they choose, and waits until a server uses them. */
export async function putExperiments(
  { database, baseUrl }: Pick<Loop, 'database' | 'baseUrl'>,
  definitions: object,
): Promise<ExperimentSet> {
  const set = parseExperiments(definitions, choices);
  const chosen = set.experiments.flatMap(({ arms }) => arms.flatMap(({ policy }) => policy ?? []));
  await clearPolicies(database, [...new Set(chosen)]);
  const store = createExperimentStore(database);
  const previousId = (await store.readNewest(0))?.id ?? 0;
  await store.append({ previousId, version: set.version, definitions, actor: 'test', caller: 'test', reason: 'test' });
  await waitFor('the server to use the experiments', async () => (await versionOf(baseUrl)) === set.version);
  return set;
}

/** The version of the experiments that a server uses. */
async function versionOf(baseUrl: string): Promise<string> {
  const response = await fetch(`${baseUrl}/ofrep/v1/evaluate/flags`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ context: { targetingKey: 'somebody' } }),
  });
  return ((await response.json()) as { metadata: { version: string } }).metadata.version;
}
