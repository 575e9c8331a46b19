import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { ensurePython } from './python.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

export default async function setup(project: TestProject): Promise<void> {
  project.provide('python', await ensurePython(`${root}.oo/interop`, `${root}tests/interop/requirements.txt`));
}

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of the programs of the Python environment. */
    python: string;
  }
}
