import { Worker } from 'node:worker_threads';
import type { Reply, Request, ThreadData } from './messages.ts';

/** Why a thread is gone with what it was asked: it went on for too long, or ended by itself. */
export class ThreadLostError extends Error {
  override readonly name = 'ThreadLostError';
  readonly kind: 'hung' | 'died';

  constructor(kind: ThreadLostError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface Thread {
  /**
   * One request at a time. After `limitMs` the thread is ended, whatever it is in the middle of. Rejects with
   * ThreadLostError, and from then on always.
   */
  ask(request: Request, limitMs: number, transfer?: readonly ArrayBuffer[]): Promise<Reply>;
  /** Ends it, and returns when it is gone. */
  close(): Promise<void>;
}

const program = new URL('./worker.ts', import.meta.url);

/** Of JavaScript's own heap; the runtime's memory is limited by itself. */
const heapMib = 256;

/** `onLost` is told once, also where nobody asks. */
export function startThread(data: ThreadData, onLost: () => void): Thread {
  const worker = new Worker(program, {
    workerData: data,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: heapMib },
    stdout: true, // what the runtime prints may hold what a model's author wrote
    stderr: true,
  });
  worker.stdout.resume();
  worker.stderr.resume();
  let lost: ThreadLostError | undefined;
  let pending: { resolve(reply: Reply): void; reject(error: ThreadLostError): void } | undefined;
  const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()));

  const lose = (kind: ThreadLostError['kind'], message: string) => {
    if (lost) return;
    lost = new ThreadLostError(kind, message);
    pending?.reject(lost);
    pending = undefined;
    void worker.terminate();
    onLost();
  };
  worker.on('message', (reply: Reply) => {
    pending?.resolve(reply);
    pending = undefined;
  });
  worker.on('error', (error) => lose('died', error instanceof Error ? error.message : String(error)));
  worker.on('exit', (code) => lose('died', `it ended with code ${code}`));

  return {
    ask(request, limitMs, transfer = []) {
      if (lost) return Promise.reject(lost);
      return new Promise<Reply>((resolve, reject) => {
        const timer = setTimeout(() => lose('hung', `it did not answer within ${limitMs} ms`), limitMs);
        const settle = <Value>(then: (value: Value) => void) => {
          return (value: Value) => {
            clearTimeout(timer);
            then(value);
          };
        };
        pending = { resolve: settle(resolve), reject: settle(reject) };
        worker.postMessage(request, transfer);
      });
    },
    async close() {
      lose('died', 'it was closed');
      await gone;
    },
  };
}
