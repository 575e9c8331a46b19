// Runs in a thread of its own: ONNX Runtime, as WebAssembly. Started by thread.ts alone.

import { parentPort, workerData } from 'node:worker_threads';
import type { InferenceSession } from 'onnxruntime-web';
import { inspectModel, type OnnxModel } from './inspect.ts';
import type { Reply, Request, ThreadData } from './messages.ts';

/** What of it the types of Node leave out. */
declare const WebAssembly: { Memory: new (descriptor: { readonly maximum?: number }) => object };

type Runtime = typeof import('onnxruntime-web');

const sessionOptions: InferenceSession.SessionOptions = {
  executionProviders: ['wasm'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  logSeverityLevel: 4,
};

const sessions = new Map<string, InferenceSession>();
let runtime: Promise<Runtime> | undefined;

/** Only what inspects does without a runtime. */
function loadRuntime(): Promise<Runtime> {
  runtime ??= (async () => {
    limitMemory((workerData as ThreadData).memoryMib);
    const loaded = await import('onnxruntime-web');
    loaded.env.wasm.numThreads = 1; // and thereby one order of every sum
    loaded.env.logLevel = 'fatal';
    return loaded;
  })();
  return runtime;
}

/** The runtime asks for as much as 4 GiB; a model that wants more than its share fails alone. */
function limitMemory(mib: number) {
  const { Memory } = WebAssembly;
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor: { readonly maximum?: number }) {
      super({ ...descriptor, maximum: Math.min(descriptor.maximum ?? mib * 16, mib * 16) });
    }
  };
}

async function answer(request: Request): Promise<Reply> {
  switch (request.kind) {
    case 'inspect':
      return { kind: 'inspected', inspection: inspectModel(request.bytes, request.contract) };
    case 'load': {
      const { InferenceSession } = await loadRuntime();
      sessions.set(request.key, await InferenceSession.create(request.bytes, sessionOptions));
      return { kind: 'done' };
    }
    case 'run': {
      const session = sessions.get(request.key);
      if (!session) throw new Error('it was not loaded');
      return await run(session, request.rows, request.score);
    }
    case 'release':
      await sessions.get(request.key)?.release();
      sessions.delete(request.key);
      return { kind: 'done' };
  }
}

async function run(session: InferenceSession, rows: Float32Array, score: OnnxModel['score']): Promise<Reply> {
  const { Tensor } = await loadRuntime();
  const { input, output, columns, width, column } = score;
  const count = rows.length / columns;
  const outputs = await session.run({ [input]: new Tensor('float32', rows, [count, columns]) }, [output]);
  const given = outputs[output];
  if (!(given?.data instanceof Float32Array) || given.data.length !== count * width || given.dims[0] !== count) {
    const message = `it gave ${given?.type ?? 'nothing'} [${given?.dims ?? ''}] for ${count} rows`;
    return { kind: 'wrong', reason: 'OUTPUT_SHAPE', message };
  }
  const { data } = given;
  const scores = Float32Array.from({ length: count }, (_, row) => data[row * width + column] as number);
  const bad = scores.findIndex((each) => !Number.isFinite(each));
  if (bad < 0) return { kind: 'scores', scores };
  return { kind: 'wrong', reason: 'NOT_FINITE', message: `it gave ${scores[bad]} for row ${bad}` };
}

/** The runtime throws numbers, too. What it says may be of many lines, with what a model's author wrote. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 300);
}

parentPort?.on('message', async (request: Request) => {
  const reply = await answer(request).catch((error): Reply => ({ kind: 'failed', message: reasonOf(error) }));
  parentPort?.postMessage(reply, reply.kind === 'scores' ? [reply.scores.buffer as ArrayBuffer] : []);
});
