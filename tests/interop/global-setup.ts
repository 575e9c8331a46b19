import type { TestProject } from 'vitest/node';
import { environments } from './environments.ts';
import { ensurePython } from './python.ts';

type Name = keyof typeof environments;

export default async function setup(project: TestProject): Promise<void> {
  const names = Object.keys(environments) as readonly Name[];
  await Promise.all(names.map(async (name) => project.provide(name, await ensurePython(environments[name]))));
}

declare module 'vitest' {
  /** Folders of the programs of the Python environments. */
  export interface ProvidedContext extends Readonly<Record<Name, string>> {}
}
