// Plain sockets of node:http and node:http2, so that no client library is measured.

import { Agent, request as httpRequest } from 'node:http';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import type { Protocol } from './requests.ts';

export interface ClientOptions {
  readonly url: string;
  readonly protocol: Protocol;
  readonly path: string;
  /** What the caller allows, over gRPC. The client itself waits for as long as it takes. */
  readonly timeoutMs?: number | undefined;
}

/** Connections; over HTTP/1.1 each call in flight has one. */
const sessions = 8;

export interface Client {
  /**
   * Calls back once, when the answer is complete; with the problem unless it is a success. Calls of the same `lane`
   * share a connection.
   */
  call(lane: number, body: Buffer, onAnswer: (problem: string | undefined) => void): void;
  close(): void;
}

export function createClient(options: ClientOptions): Promise<Client> {
  if (options.protocol === 'json') return Promise.resolve(createHttp1Client(options));
  return createHttp2Client(options);
}

const headersOf = {
  grpc: { 'content-type': 'application/grpc', te: 'trailers' },
  connect: { 'content-type': 'application/proto', 'connect-protocol-version': '1' },
} as const;

async function createHttp2Client({ url, protocol, path, timeoutMs }: ClientOptions): Promise<Client> {
  const isGrpc = protocol === 'grpc';
  const headers = {
    ':method': 'POST',
    ':path': path,
    ...headersOf[isGrpc ? 'grpc' : 'connect'],
    ...(isGrpc && timeoutMs !== undefined && { 'grpc-timeout': `${timeoutMs}m` }),
  };
  const open = await Promise.all(Array.from({ length: sessions }, () => openSession(url)));
  return {
    call(lane, body, onAnswer) {
      const session = open[lane % sessions];
      const stream = session?.request(headers);
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

function createHttp1Client({ url, path }: ClientOptions): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const { hostname, port } = new URL(url);
  const options = { agent, hostname, port, method: 'POST', path };
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
