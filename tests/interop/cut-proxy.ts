import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly writes: boolean;
}

/** Where the line is cut: before the nth writing call (from 0) gets through, or after it did and before its answer does. */
export interface Cut {
  readonly at: number;
  readonly when: 'before' | 'after';
  /** Told once, when it is cut. */
  readonly onCut?: () => void;
}

export interface CutProxy extends AsyncDisposable {
  readonly url: string;
  /** All calls since it was last asked. */
  take(): readonly Seen[];
  /** Cuts the line at a call, and for every one after it until it is mended: as a process looks that dies there. */
  cut(cut: Cut): void;
  mend(): void;
}

/** Stands before a server, and counts what it is asked. */
export async function startCutProxy(
  target: string,
  isWrite: (method: string, path: string) => boolean,
): Promise<CutProxy> {
  let seen: Seen[] = [];
  let cut: Cut | undefined;
  let writes = 0;
  let isCut = false;

  const forward = (incoming: IncomingMessage, answer: (from: IncomingMessage) => void, fail: () => void) => {
    const url = new URL(incoming.url ?? '/', target);
    const { method, headers } = incoming;
    const outgoing = request(url, { method, headers: { ...headers, host: url.host }, agent: false }, answer);
    outgoing.on('error', fail);
    incoming.pipe(outgoing);
  };

  const server = createServer((incoming: IncomingMessage, outgoing: ServerResponse) => {
    const drop = () => void incoming.socket.destroy();
    const { method = '', url = '' } = incoming;
    const path = url.split('?')[0] ?? '';
    const isWriting = isWrite(method, path);
    if (isCut) return drop();
    seen.push({ method, path, writes: isWriting });
    const isHere = cut !== undefined && isWriting && writes === cut.at;
    if (isWriting) writes++;
    if (!isHere || !cut) {
      forward(incoming, (from) => from.pipe(outgoing.writeHead(from.statusCode ?? 500, from.headers)), drop);
      return;
    }
    isCut = true;
    const { when, onCut } = cut;
    const end = () => {
      onCut?.();
      drop();
    };
    if (when === 'before') return end();
    forward(incoming, (from) => from.resume().once('end', end), end);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take() {
      const taken = seen;
      seen = [];
      return taken;
    },
    cut(given) {
      cut = given;
      writes = 0;
      isCut = false;
    },
    mend() {
      cut = undefined;
      isCut = false;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
