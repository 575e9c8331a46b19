import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toDagJson } from '../../../pipelines/dag.ts';
import { newFolder } from '../servers.ts';
import { testDags } from './dags.ts';

const step = fileURLToPath(new URL('step.ts', import.meta.url));

/** A folder in which other schedulers find `dag.json` and `npm run step`, as they do in this project. */
export interface TestProject {
  readonly folder: string;
  /** What its steps run with. */
  readonly env: Readonly<Record<string, string>>;
  /** What steps said so far, line by line. */
  trace(): readonly string[];
  say(word: string): void;
}

export function createTestProject(databaseUrl: string): TestProject {
  const folder = newFolder('project');
  const trace = join(folder, 'trace');
  mkdirSync(join(folder, 'deploy'), { recursive: true });
  writeFileSync(trace, '');
  writeFileSync(join(folder, 'deploy', 'dag.json'), JSON.stringify(toDagJson(testDags({}))));
  const scripts = { step: `"${process.execPath}" "${step}"` };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'test', private: true, scripts }));
  return {
    folder,
    env: {
      ...{ DATABASE_URL: databaseUrl, TRACE: trace, OO_PROJECT: folder },
      ARTIFACTS_DIR: join(folder, 'artifacts'),
    },
    trace: () => readFileSync(trace, 'utf8').split('\n').slice(0, -1),
    say: (word) => writeFileSync(trace, `${word}\n`, { flag: 'a' }),
  };
}
