import type { OnnxArtifact, OnnxPool, Predictor } from './pool.ts';

/** A pool that begins with its first model: whoever has none pays nothing, not even for reading its code. */
export interface LazyOnnxPool extends AsyncDisposable {
  load(artifact: OnnxArtifact): Promise<Predictor>;
}

/** Where no such models are run. */
export const noOnnx: Pick<LazyOnnxPool, 'load'> = {
  load: () => Promise.reject(new Error('ONNX models are not run here')),
};

export function lazyOnnxPool(): LazyOnnxPool {
  let opened: Promise<OnnxPool> | undefined;
  const open = async () => (await import('./pool.ts')).createOnnxPool();
  return {
    async load(artifact) {
      opened ??= open();
      return await (await opened).load(artifact);
    },
    async [Symbol.asyncDispose]() {
      await (await opened)?.close();
    },
  };
}
