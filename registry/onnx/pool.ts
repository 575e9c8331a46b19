// Models of others, off the event loop: each session lives in threads that may hang, die or be ended without anyone else
// noticing more than a wait. Calls are never merged into one run: how a runtime adds up may depend on how many rows there
// are, and a decision that is replayed must meet the same bits.

import { createHash } from 'node:crypto';
import {
  type DomainError,
  deadlineExceeded,
  failedPrecondition,
  invalidArgument,
  resourceExhausted,
  unavailable,
} from '../../platform/errors.ts';
import { compareGolden, type GoldenBatch, readGolden } from './golden.ts';
import type { OnnxContract, OnnxModel } from './inspect.ts';
import type { Reply } from './messages.ts';
import { type Refusal, refused } from './refusal.ts';
import { startThread, type Thread, ThreadLostError } from './thread.ts';

/** What is registered, and loaded again later: all of it is checked each time. */
export interface OnnxArtifact {
  /** Lower-case hexadecimal, of the bytes. */
  readonly sha256: string;
  readonly bytes: Uint8Array;
  readonly contract: OnnxContract;
  /** As in its JSON file; `golden.ts` says the shape. */
  readonly golden: unknown;
}

export interface OnnxPoolOptions {
  /** Threads, each with a runtime of some 60 MiB and all the models in use. They start with the first model. */
  readonly workers: number;
  /** Sessions of one thread. Beyond it the one that was not used for longest is given up, and made anew when needed. */
  readonly sessionsMax: number;
  /** Calls that wait for a thread; one more is refused. */
  readonly queueMax: number;
  /** What a model may take to be read, made ready, and to score its golden batch. Start of a thread included. */
  readonly loadMs: number;
  /** What a call may take once it runs. After it the thread is ended. */
  readonly runMs: number;
  /** Of a thread's runtime, whatever models it holds. */
  readonly memoryMib: number;
}

export const onnxPoolDefaults: OnnxPoolOptions = {
  workers: 1,
  sessionsMax: 4,
  queueMax: 256,
  loadMs: 20_000,
  runMs: 2_000,
  memoryMib: 512,
};

export interface Predictor {
  readonly sha256: string;
  readonly model: OnnxModel;
  /**
   * A score for each row: one run, so the same rows give the same bits. Without an answer within `timeoutMs` it rejects.
   * Errors are DomainErrors: ONNX_BUSY, ONNX_DEADLINE, ONNX_WORKER_LOST, ONNX_SCORE_INVALID, ONNX_RUN_FAILED,
   * ONNX_ROWS_INVALID, ONNX_RELEASED.
   */
  predict(
    rows: Float32Array | readonly (readonly number[])[],
    options?: { readonly timeoutMs?: number },
  ): Promise<Float32Array>;
  /** Takes no more calls. Those that were taken are still answered; its sessions are given up after them. */
  release(): Promise<void>;
}

export interface OnnxPool extends AsyncDisposable {
  /**
   * Checks an artifact, in a thread apart, from its digest to its golden batch; then makes it ready in every thread that
   * serves. So to swap: load the new one, put it in the place of the old one, release the old one. Throws DomainErrors: of
   * `Refusal`s, ONNX_BUSY, ONNX_RUNTIME_MISSING, ONNX_CLOSED.
   */
  load(artifact: OnnxArtifact): Promise<Predictor>;
  /** Sessions of all threads that serve, at the moment. */
  sessions(): number;
  /** Rejects what waits, and ends all threads. */
  close(): Promise<void>;
}

/** Artifacts that wait for their trial: each is held in memory. */
const maxTrials = 8;

/** Of one key: what its sessions are made of. */
interface Loaded {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly model: OnnxModel;
  references: number;
}

/** A place for a thread, which starts when there is something to do. */
interface Seat {
  thread: Thread | undefined;
  isBusy: boolean;
  /** Keys of its sessions, the one that was used last at the end. */
  readonly held: Set<string>;
  /** What only this thread can do, before any call. */
  readonly errands: Task[];
}

type Task = (seat: Seat) => Promise<void>;

interface Call {
  readonly key: string;
  readonly task: Task;
  reject(error: DomainError): void;
}

export function createOnnxPool(options: Partial<OnnxPoolOptions> = {}): OnnxPool {
  const { workers, sessionsMax, queueMax, loadMs, runMs, memoryMib } = { ...onnxPoolDefaults, ...options };
  const newSeat = (): Seat => ({ thread: undefined, isBusy: false, held: new Set(), errands: [] });
  const seats = Array.from({ length: workers }, newSeat);
  const trialSeat = newSeat();
  const models = new Map<string, Loaded>();
  let calls: Call[] = [];
  let trials = 0;
  let lastTrial: Promise<unknown> = Promise.resolve();
  /** Threads that are not gone yet. */
  const endings = new Set<Promise<void>>();
  let isClosed = false;

  /** Hands out what waits to threads that are idle: to one that has the model, if there is a choice. */
  function dispatch() {
    if (isClosed) return;
    for (const seat of seats) {
      const errand = seat.isBusy ? undefined : seat.errands.shift();
      if (errand) void occupy(seat, errand);
    }
    for (;;) {
      const idle = seats.filter(({ isBusy }) => !isBusy);
      const call = idle.length > 0 ? calls.shift() : undefined;
      if (!call) return;
      const seat = idle.find(({ held }) => held.has(call.key)) ?? idle[0];
      if (seat) void occupy(seat, call.task);
    }
  }

  async function occupy(seat: Seat, task: Task) {
    seat.isBusy = true;
    await task(seat);
    seat.isBusy = false;
    dispatch();
  }

  /** Asks the thread of a seat. One that hung, died or whose runtime threw has no further use; another takes its place. */
  async function ask(seat: Seat, request: Parameters<Thread['ask']>[0], limitMs: number): Promise<Reply> {
    if (isClosed) throw closed();
    seat.thread ??= startThread({ memoryMib }, () => void vacate(seat));
    try {
      const reply = await seat.thread.ask(request, limitMs);
      if (reply.kind === 'failed') void vacate(seat);
      return reply;
    } catch (error) {
      throw isClosed ? closed() : error;
    }
  }

  function vacate(seat: Seat): Promise<void> {
    const { thread } = seat;
    if (!thread) return Promise.resolve();
    seat.thread = undefined;
    seat.held.clear();
    const ending = thread.close().finally(() => endings.delete(ending));
    endings.add(ending);
    return ending;
  }

  /** Makes a session, if the thread has none. */
  async function ensure(seat: Seat, { key, bytes }: Loaded): Promise<Reply> {
    if (seat.thread && seat.held.delete(key)) {
      seat.held.add(key);
      return { kind: 'done' };
    }
    for (const oldest of seat.held) {
      if (seat.held.size < sessionsMax) break;
      await drop(seat, oldest);
    }
    const reply = await ask(seat, { kind: 'load', key, bytes }, loadMs);
    if (reply.kind === 'done') seat.held.add(key);
    return reply;
  }

  async function drop(seat: Seat, key: string) {
    if (seat.held.delete(key)) await ask(seat, { kind: 'release', key }, loadMs);
  }

  /** All that a model must pass before anyone is served by it. */
  async function tryOut({ bytes, contract, golden: given }: OnnxArtifact, key: string): Promise<OnnxModel> {
    const reply = await ask(trialSeat, { kind: 'inspect', bytes, contract }, loadMs).catch(refuseLost);
    if (reply.kind !== 'inspected') throw runtimeRefused(reply);
    const { inspection } = reply;
    if (inspection.kind === 'refused') throw refused(inspection);
    const { model } = inspection;
    const reading = readGolden(given, contract.columns);
    if (reading.kind === 'refused') throw refused(reading);
    const { golden } = reading;

    const made = await ensure(trialSeat, { key, bytes, model, references: 0 }).catch(refuseLost);
    if (made.kind !== 'done') throw runtimeRefused(made);
    for (const { rows, how } of waysToScore(golden, contract.columns)) {
      const scores: number[] = [];
      for (const batch of rows) {
        const answer = await ask(trialSeat, { kind: 'run', key, rows: batch, score: model.score }, runMs).catch(
          refuseLost,
        );
        if (answer.kind !== 'scores') throw runtimeRefused(answer);
        scores.push(...answer.scores);
      }
      const tried = { ...golden, outputs: golden.outputs.slice(0, scores.length) };
      const difference = compareGolden(tried, scores, how);
      if (difference) throw refused(difference);
    }
    return model;
  }

  /** One artifact after the other, in a thread of its own that ends with the last one. */
  async function trial(artifact: OnnxArtifact, key: string): Promise<OnnxModel> {
    if (trials >= maxTrials) throw busy(`${trials} models wait to be tried`);
    trials++;
    const turn = lastTrial.then(async () => {
      try {
        const model = await tryOut(artifact, key);
        await drop(trialSeat, key);
        return model;
      } catch (error) {
        await vacate(trialSeat);
        throw error;
      } finally {
        trials--;
        if (trials === 0) await vacate(trialSeat);
      }
    });
    lastTrial = turn.catch(() => {});
    return await turn;
  }

  /** Has every thread do something, each as soon as it is idle. */
  async function everywhere(task: Task): Promise<void> {
    const errands = seats.map(
      (seat) =>
        new Promise<void>((resolve, reject) => {
          seat.errands.push((seat) => task(seat).then(resolve, reject));
        }),
    );
    dispatch();
    await Promise.all(errands);
  }

  function predict(loaded: Loaded, given: Float32Array | readonly (readonly number[])[], timeoutMs: number) {
    const { key, model } = loaded;
    const { score } = model;
    const rows = toRows(given, score.columns);
    if (rows.length === 0) return Promise.resolve(new Float32Array());
    return new Promise<Float32Array>((resolve, reject) => {
      if (calls.length >= queueMax) return reject(busy(`${calls.length} calls wait`));
      const timer = setTimeout(() => {
        calls = calls.filter((each) => each !== call);
        reject(deadlineExceeded('ONNX_DEADLINE', `there was no score within ${timeoutMs} ms`));
      }, timeoutMs);
      const task: Task = async (seat) => {
        try {
          const made = await ensure(seat, loaded);
          const reply = made.kind === 'done' ? await ask(seat, { kind: 'run', key, rows, score }, runMs) : made;
          if (reply.kind === 'scores') resolve(reply.scores);
          else reject(ofReply(reply));
        } catch (error) {
          reject(error instanceof ThreadLostError ? workerLost(error) : error);
        } finally {
          clearTimeout(timer);
        }
      };
      const call: Call = {
        key,
        task,
        reject(error) {
          clearTimeout(timer);
          reject(error);
        },
      };
      calls.push(call);
      dispatch();
    });
  }

  async function load(artifact: OnnxArtifact): Promise<Predictor> {
    if (isClosed) throw closed();
    const { sha256, contract } = artifact;
    const bytes = Uint8Array.from(artifact.bytes); // whoever gave them may go on writing
    const actual = createHash('sha256').update(bytes).digest('hex');
    if (actual !== sha256) {
      const message = `the bytes have the SHA-256 ${actual}, not ${sha256}: send the file that was registered`;
      throw refused({ reason: 'DIGEST_DIFFERS', field: 'sha256', message });
    }
    const key = JSON.stringify([sha256, contract.columns, contract.output, contract.positiveColumn]);
    const model = await trial({ ...artifact, bytes }, key);
    const loaded = models.get(key) ?? { key, bytes, model, references: 0 };
    models.set(key, loaded);
    loaded.references++;
    const forget = async () => {
      loaded.references--;
      if (loaded.references > 0) return;
      models.delete(key);
      // a thread that is lost has no session either
      await everywhere((seat) => drop(seat, key).catch(() => {}));
    };
    try {
      await everywhere(async (seat) => {
        const made = await ensure(seat, loaded);
        if (made.kind !== 'done') throw ofReply(made);
      });
    } catch (error) {
      if (!isClosed) await forget();
      throw error instanceof ThreadLostError ? workerLost(error) : error;
    }

    let released: Promise<void> | undefined;
    let pending = 0;
    let onIdle = () => {};
    return {
      sha256,
      model,
      async predict(rows, { timeoutMs = runMs } = {}) {
        if (isClosed) throw closed();
        if (released) throw failedPrecondition('ONNX_RELEASED', 'the model was released');
        pending++;
        try {
          return await predict(loaded, rows, timeoutMs);
        } finally {
          if (--pending === 0) onIdle();
        }
      },
      release() {
        released ??= (async () => {
          if (pending > 0) {
            await new Promise<void>((resolve) => {
              onIdle = resolve;
            });
          }
          if (!isClosed) await forget();
        })();
        return released;
      },
    };
  }

  async function close() {
    isClosed = true;
    for (const { reject } of calls.splice(0)) reject(closed());
    const errands = seats.flatMap((seat) => seat.errands.splice(0).map((errand) => errand(seat)));
    await Promise.all([...[...seats, trialSeat].map(vacate), ...errands, lastTrial]);
    await Promise.all(endings);
  }

  const sessions = () => seats.reduce((sum, { held }) => sum + held.size, 0);

  return { load, sessions, close, [Symbol.asyncDispose]: close };
}

/** All rows at once, and the first ones alone: a score must not depend on the rows beside it. */
function waysToScore({ rows }: GoldenBatch, columns: number) {
  const row = (i: number) => rows.slice(i * columns, (i + 1) * columns);
  const alone = Array.from({ length: Math.min(rows.length / columns, 16) }, (_, i) => row(i));
  return [
    { rows: [rows], how: 'in one batch' },
    { rows: alone, how: 'alone' },
  ];
}

function toRows(given: Float32Array | readonly (readonly number[])[], columns: number): Float32Array {
  const wrong = (field: string, description: string) =>
    invalidArgument([{ field, description }], { reason: 'ONNX_ROWS_INVALID' });
  if (given instanceof Float32Array) {
    if (given.length % columns !== 0)
      throw wrong('rows', `they have ${given.length} entries, no multiple of ${columns}`);
  } else {
    const row = given.findIndex(({ length }) => length !== columns);
    if (row >= 0) throw wrong(`rows[${row}]`, `it has ${given[row]?.length} entries, not ${columns}`);
  }
  const rows = Float32Array.from(given instanceof Float32Array ? given : given.flat()); // ours, whoever writes to theirs
  const entry = rows.findIndex((value) => !Number.isFinite(value));
  if (entry >= 0) throw wrong(`rows[${Math.floor(entry / columns)}][${entry % columns}]`, 'it is no finite float');
  return rows;
}

// Refusals of a trial, and errors of a call

function refuseLost(error: unknown): never {
  if (!(error instanceof ThreadLostError)) throw error;
  const refusal: Refusal =
    error.kind === 'hung'
      ? { reason: 'TOO_SLOW', field: 'model', message: `${error.message}: make it smaller, and without loops` }
      : { reason: 'RUNTIME_REFUSED', field: 'model', message: `its thread ended (${error.message}): make it smaller` };
  throw refused(refusal);
}

function runtimeRefused(reply: Reply): DomainError {
  if (reply.kind === 'wrong') {
    const advice =
      reply.reason === 'NOT_FINITE' ? 'look for missing values in training' : 'give one score for each row';
    return refused({ reason: reply.reason, field: 'model', message: `${reply.message}: ${advice}` });
  }
  const message = reply.kind === 'failed' ? reply.message : reply.kind;
  if (isMissing(message)) return runtimeMissing();
  const advice = 'check it with onnx.checker.check_model(model, full_check=True)';
  return refused({ reason: 'RUNTIME_REFUSED', field: 'model', message: `ONNX Runtime says ${message}: ${advice}` });
}

function ofReply(reply: Reply): DomainError {
  if (reply.kind === 'wrong')
    return failedPrecondition('ONNX_SCORE_INVALID', `the model's score is none: ${reply.message}`);
  const message = reply.kind === 'failed' ? reply.message : reply.kind;
  return isMissing(message) ? runtimeMissing() : unavailable('ONNX_RUN_FAILED', `ONNX Runtime says ${message}`);
}

const isMissing = (message: string) => message.startsWith("Cannot find package 'onnxruntime-web'");

const runtimeMissing = () =>
  failedPrecondition('ONNX_RUNTIME_MISSING', 'onnxruntime-web is not installed: install the optional dependencies');

const busy = (message: string) => resourceExhausted('ONNX_BUSY', message, { retryAfterMs: 100 });

const closed = () => unavailable('ONNX_CLOSED', 'the pool of models is closed');

const workerLost = ({ message }: ThreadLostError) =>
  unavailable('ONNX_WORKER_LOST', `the model's thread is gone: ${message}`);
