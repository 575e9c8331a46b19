import type { TestProject } from 'vitest/node';
import { environments } from './environments.ts';
import { ensurePython } from './python.ts';

export default async function setup(project: TestProject): Promise<void> {
  const [feast, litellm, onnx] = await Promise.all([
    ensurePython(environments.feast),
    ensurePython(environments.litellm),
    ensurePython(environments.onnx),
  ]);
  project.provide('feast', feast);
  project.provide('litellm', litellm);
  project.provide('onnx', onnx);
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Folders of the programs of the Python environments. */
    feast: string;
    litellm: string;
    onnx: string;
  }
}
