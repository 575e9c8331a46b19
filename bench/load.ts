// A process that calls a server as fast as it answers, or at fixed times, and measures from outside. Plain sockets of
// node:http and node:http2, so that no client library is measured.

import { Agent, request as httpRequest } from 'node:http';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerTasks, cpuMicrosPer, cpuOf } from './processes.ts';
import { type Protocol, requestSource, scorePath } from './requests.ts';

export interface LoadTask {
  readonly url: string;
  readonly protocol: Protocol;
  /** Calls at once, the next one when one is answered; or calls per second, whether or not any is answered. */
  readonly pace: { readonly inFlight: number } | { readonly perSecond: number };
  /** Calls of this first while are made and not measured. */
  readonly runInMs: number;
  readonly measureMs: number;
  /** Processes whose CPU time is to be measured, by name. */
  readonly pids: Readonly<Record<string, number>>;
}

export interface LoadResult {
  /** Calls that were answered, in the run-in and after the end too. */
  readonly answered: number;
  /** Calls answered within the measured time, per second. */
  readonly perSecond: number;
  /** Per call answered, user and system time; `load` is this process. Undefined where the system does not tell. */
  readonly cpuMicros: Readonly<Record<string, number | undefined>>;
  /** Of the calls answered (closed loop) or due (fixed times) within the measured time. */
  readonly latenciesMs: Float64Array;
}

/** Connections; over HTTP/1.1 each call in flight has one. */
const sessions = 8;
const errorsShown = 3;

interface Client {
  /**
   * Calls back once, when the answer is complete; with the problem unless it is a success. Calls of the same `lane`
   * share a connection.
   */
  call(lane: number, body: Buffer, onAnswer: (problem: string | undefined) => void): void;
  close(): void;
}

answerTasks(async (task: LoadTask): Promise<LoadResult> => {
  const client = await createClient(task);
  try {
    return await run(task, client);
  } finally {
    client.close();
  }
});

async function run({ protocol, pace, runInMs, measureMs, pids }: LoadTask, client: Client): Promise<LoadResult> {
  const nextRequest = requestSource(protocol);
  const latenciesMs: number[] = [];
  const problems: string[] = [];
  let sent = 0;
  let settled = 0;
  let isOver = false;
  let onIdle = () => {};
  const from = performance.now() + runInMs;
  const to = from + measureMs;

  /** `dueAt` is when the call should have been made: a late client or a full pipe counts as the server's time. */
  const send = (lane: number, dueAt: number, then: () => void) => {
    sent++;
    client.call(lane, nextRequest(), (problem) => {
      settled++;
      const now = performance.now();
      const at = 'perSecond' in pace ? dueAt : now;
      if (problem !== undefined) problems.push(problem);
      else if (at >= from && at < to) latenciesMs.push(now - dueAt);
      then();
      if (isOver && settled === sent) onIdle();
    });
  };

  if ('inFlight' in pace) {
    const goOn = (lane: number) => {
      if (!isOver && problems.length === 0) send(lane, performance.now(), () => goOn(lane));
    };
    for (let lane = 0; lane < pace.inFlight; lane++) goOn(lane);
  } else {
    void sendAt(
      pace.perSecond,
      (dueAt) => send(sent, dueAt, () => {}),
      () => isOver || problems.length > 0,
    );
  }

  const processes = { ...pids, load: process.pid };
  await sleep(from - performance.now());
  const [before, settledBefore, startedAt] = [cpuOf(processes), settled, performance.now()];
  await sleep(to - performance.now());
  const [after, measured, endedAt] = [cpuOf(processes), settled - settledBefore, performance.now()];
  isOver = true;
  if (settled < sent)
    await new Promise<void>((resolve) => {
      onIdle = resolve;
    });
  if (problems.length > 0) {
    throw new Error(
      `${problems.length} of ${sent} calls over ${protocol} failed: ${problems.slice(0, errorsShown).join('; ')}`,
    );
  }
  return {
    answered: settled,
    perSecond: measured / ((endedAt - startedAt) / 1000),
    cpuMicros: cpuMicrosPer(measured, before, after),
    latenciesMs: Float64Array.from(latenciesMs),
  };
}

/** Calls `send` for each time that is due, at a distance of 1/rate. Timers tick once a millisecond, so some are late. */
async function sendAt(perSecond: number, send: (dueAt: number) => void, isOver: () => boolean): Promise<void> {
  const intervalMs = 1000 / perSecond;
  let dueAt = performance.now();
  while (!isOver()) {
    for (const now = performance.now(); dueAt <= now; dueAt += intervalMs) send(dueAt);
    await sleep(Math.max(0, dueAt - performance.now()));
  }
}

function createClient(task: LoadTask): Promise<Client> {
  if (task.protocol === 'json') return Promise.resolve(createHttp1Client(task));
  return createHttp2Client(task);
}

const headers = {
  ':method': 'POST',
  ':path': scorePath,
} as const;
const headersOf = {
  grpc: { ...headers, 'content-type': 'application/grpc', te: 'trailers' },
  connect: { ...headers, 'content-type': 'application/proto', 'connect-protocol-version': '1' },
} as const;

async function createHttp2Client({ url, protocol }: LoadTask): Promise<Client> {
  const isGrpc = protocol === 'grpc';
  const open = await Promise.all(Array.from({ length: sessions }, () => openSession(url)));
  return {
    call(lane, body, onAnswer) {
      const session = open[lane % sessions];
      const stream = session?.request(isGrpc ? headersOf.grpc : headersOf.connect);
      if (stream === undefined) throw new Error('there is no session');
      let httpStatus: unknown;
      let problem: unknown = isGrpc ? 'no status' : undefined;
      const readGrpcStatus = (fields: IncomingHttpHeaders) => {
        const status = fields['grpc-status'];
        if (status !== undefined) problem = status === '0' ? undefined : `${status} ${fields['grpc-message']}`;
      };
      stream.on('response', (fields) => {
        httpStatus = fields[':status'];
        if (isGrpc) readGrpcStatus(fields); // an error without a message has it here
      });
      if (isGrpc) stream.on('trailers', readGrpcStatus);
      stream.on('error', (error) => {
        problem = error.message;
      });
      stream.on('close', () => {
        if (httpStatus !== 200 || stream.rstCode !== 0) problem ??= `reset code ${stream.rstCode}`;
        onAnswer(problem === undefined ? undefined : `HTTP status ${httpStatus}, ${problem}`);
      });
      stream.resume();
      stream.end(body);
    },
    close: () => {
      for (const session of open) session.close();
    },
  };
}

function openSession(url: string): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connect(url);
    session.once('connect', () => resolve(session));
    session.on('error', reject);
  });
}

function createHttp1Client({ url }: LoadTask): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const { hostname, port } = new URL(url);
  const options = { agent, hostname, port, method: 'POST', path: scorePath };
  return {
    call(_lane, body, onAnswer) {
      const request = httpRequest(
        { ...options, headers: { 'content-type': 'application/json', 'content-length': body.length } },
        (response) => {
          response.resume();
          response.on('close', () => {
            const isOk = response.complete && response.statusCode === 200;
            onAnswer(isOk ? undefined : `HTTP status ${response.statusCode}${response.complete ? '' : ', cut off'}`);
          });
        },
      );
      request.on('error', (error) => onAnswer(error.message));
      request.end(body);
    },
    close: () => agent.destroy(),
  };
}
