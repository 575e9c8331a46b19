import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import type { Log } from '../platform/log.ts';
import type { ServerLimits } from './limits.ts';

export interface ListenerOptions {
  /** A request over HTTP/1.1. */
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  /** A request over HTTP/2. */
  readonly onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]) => void;
  readonly limits: ServerLimits;
  readonly log: Pick<Log, 'warn'>;
}

export interface Listener {
  /** Resolves to the port, which is a free one where 0 was asked for. */
  listen(address: { readonly port: number; readonly host: string }): Promise<number>;
  /**
   * Takes no new connections, tells HTTP/2 clients to leave (GOAWAY), closes idle connections, and the others after
   * the calls they carry. Resolves when all are closed, however long that takes.
   */
  close(): Promise<void>;
  /** Cuts all connections. */
  destroy(): void;
}

/**
 * One plaintext port for HTTP/2 with prior knowledge (gRPC) and HTTP/1.1 (JSON, browsers): each connection's first
 * bytes say which.
 */
export function createListener({ onRequest, onStream, limits, log }: ListenerOptions): Listener {
  const sockets = new Set<Socket>();
  const sniffing = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  let isClosing = false;

  const http1 = createHttp1Server(
    {
      maxHeaderSize: limits.headersMaxBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.bodyTimeoutMs,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: Math.min(1000, limits.headersTimeoutMs),
    },
    (request, response) => {
      response.once('close', () => {
        // Only after this event does Node count the connection as idle.
        if (isClosing) setImmediate(() => http1.closeIdleConnections());
      });
      onRequest(request, response);
    },
  );

  const http2 = createHttp2Server({
    settings: { maxConcurrentStreams: limits.streamsMax, maxHeaderListSize: limits.headersMaxBytes },
    streamResetBurst: limits.streamResetBurst,
    streamResetRate: limits.streamResetRatePerS,
  });
  http2.on('session', (session) => {
    let streams = 0;
    session.on('stream', (stream) => {
      streams++;
      stream.once('close', () => streams--);
    });
    session.setTimeout(limits.idleMs);
    session.on('timeout', () => streams === 0 && session.close());
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  http2.on('stream', (stream, headers, _flags, rawHeaders) => onStream(stream, headers, rawHeaders));

  const tcp = createTcpServer({ noDelay: true, keepAlive: true }, (socket) => {
    sockets.add(socket);
    sniffing.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      sniffing.delete(socket);
    });
    // A connection that breaks is the peer's business.
    socket.on('error', () => socket.destroy());
    sniff(socket, limits.headersTimeoutMs, (isHttp2) => {
      sniffing.delete(socket);
      (isHttp2 ? http2 : http1).emit('connection', socket);
    });
  });
  tcp.maxConnections = limits.connectionsMax;

  let closed: Promise<void> | undefined;
  const close = () => {
    isClosing = true;
    for (const session of sessions) session.close();
    for (const socket of sniffing) socket.destroy();
    http1.close();
    return new Promise<void>((resolve) => tcp.close(() => resolve()));
  };

  return {
    listen: ({ port, host }) =>
      new Promise((resolve, reject) => {
        tcp.once('error', reject);
        tcp.listen({ port, host }, () => {
          tcp.off('error', reject);
          // One connection could not be accepted, for want of file descriptors for example. The others go on.
          tcp.on('error', (error) => log.warn({ error: error.name }, 'connection not accepted'));
          // It never listens itself, and Node enforces its timeouts only once it believes to.
          http1.emit('listening');
          resolve((tcp.address() as AddressInfo).port);
        });
      }),
    close: () => {
      closed ??= close();
      return closed;
    },
    destroy: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Reads until the first bytes cannot or must be HTTP/2, puts them back, and tells. Whoever stays silent is cut off. */
function sniff(socket: Socket, timeoutMs: number, onKnown: (isHttp2: boolean) => void): void {
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  let head: Buffer = Buffer.alloc(0);
  const onReadable = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    head = Buffer.concat([head, chunk]);
    const isHttp2 = head.subarray(0, preface.length).equals(preface.subarray(0, head.length));
    if (isHttp2 && head.length < preface.length) return;
    finish();
    socket.unshift(head);
    onKnown(isHttp2);
  };
  const finish = () => {
    clearTimeout(timer);
    socket.off('readable', onReadable).off('close', finish);
  };
  socket.on('readable', onReadable).once('close', finish);
}
