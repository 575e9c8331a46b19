import { appendFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dag, dagOf, defineDag, type RunStep, Skipped } from '../../../pipelines/dag.ts';
import { failedPrecondition } from '../../../platform/errors.ts';
import { readDags } from '../../../scripts/dags.ts';

/** What the steps of `letters` answer, for any instant that they are as of. */
export const lettersOf = (asOf: string) => ({ words: ['delta', 'alpha', asOf], longest: asOf });

/**
 * DAGs for tests, of which every step says in the file TRACE when it begins and ends. `letters` fails once, skips, and hands an
 * artifact on; `endless` runs until it is stopped; `hopeless` can never succeed. `train` is the real one, and says nothing.
 */
export function testDags(env: NodeJS.ProcessEnv): readonly Dag[] {
  const retries = { limit: 2, afterSeconds: 1 };
  const { TRACE: trace = '' } = env;
  const note = (word: string) => appendFileSync(trace, `${word}\n`);
  const traced =
    (name: string, run: RunStep): RunStep =>
    async (context, inputs) => {
      note(`begin ${name}`);
      const answer = await run(context, inputs);
      note(`end ${name}`);
      return answer;
    };
  const failOnce = async () => {
    if ((await readFile(trace, 'utf8')).split('begin words:count').length === 2) throw new Error('not the first time');
  };
  const letters = defineDag({
    id: 'letters',
    retries,
    steps: {
      'words:report': {
        needs: ['words:read', 'words:count'],
        run: traced('words:report', async (_, inputs) => ({ ...inputs })),
      },
      'words:count': {
        needs: ['words:read'],
        run: traced('words:count', async ({ artifacts }, { 'words:read': read }) => {
          await failOnce();
          const { sha256 } = read as { sha256: string };
          const words = (await readFile(await artifacts.path(sha256), 'utf8')).split('\n');
          return { words: words.length, longest: words.toSorted((a, b) => b.length - a.length)[0] ?? '' };
        }),
      },
      'words:read': {
        run: traced('words:read', async ({ artifacts, asOf, log }) => {
          log.info('a line of the log');
          return {
            ...(await artifacts.put(
              (async function* () {
                yield lettersOf(asOf).words.join('\n');
              })(),
            )),
          };
        }),
      },
      'words:sort': { needs: ['words:read'], run: traced('words:sort', async () => new Skipped('they are sorted')) },
      'words:index': { needs: ['words:sort'], run: traced('words:index', async () => 'never') },
    },
  });
  const wait: RunStep = async ({ signal, progress }) => {
    for (let done = 0; ; done++) {
      progress({ done, inAll: 1_000, unit: 'waits' });
      await sleep(100, undefined, { signal });
      if ((await readFile(trace, 'utf8')).includes('let go')) return 'let go';
    }
  };
  const endless = defineDag({
    id: 'endless',
    retries,
    steps: {
      wait: { run: traced('wait', wait) },
      after: { needs: ['wait'], run: traced('after', async (_, inputs) => ({ ...inputs })) },
    },
  });
  const refuse: RunStep = async () => {
    if ((await readFile(trace, 'utf8')).includes('let go')) return 'at last';
    throw failedPrecondition('NEVER', 'this can never succeed');
  };
  const hopeless = defineDag({
    id: 'hopeless',
    retries,
    steps: {
      refuse: { run: traced('refuse', refuse) },
      after: { needs: ['refuse'], run: traced('after', async () => null) },
    },
  });
  return [letters, endless, hopeless, dagOf(readDags(env), 'train')];
}
