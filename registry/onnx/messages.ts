// What the pool and its threads say to each other. A thread has one request at a time, and answers each once.

import type { Inspection, OnnxContract, OnnxModel } from './inspect.ts';

export type Request =
  | { readonly kind: 'inspect'; readonly bytes: Uint8Array; readonly contract: OnnxContract }
  | { readonly kind: 'load'; readonly key: string; readonly bytes: Uint8Array }
  | { readonly kind: 'run'; readonly key: string; readonly rows: Float32Array; readonly score: OnnxModel['score'] }
  | { readonly kind: 'release'; readonly key: string };

export type Reply =
  | { readonly kind: 'done' }
  | { readonly kind: 'inspected'; readonly inspection: Inspection }
  | { readonly kind: 'scores'; readonly scores: Float32Array }
  /** The model gave something else than it declared, or a score that is no number. The thread is as good as before. */
  | { readonly kind: 'wrong'; readonly reason: 'NOT_FINITE' | 'OUTPUT_SHAPE'; readonly message: string }
  /** The runtime threw. What state it is in nobody knows. */
  | { readonly kind: 'failed'; readonly message: string };

export interface ThreadData {
  readonly memoryMib: number;
}
