import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy to a server of this machine, whose network can be lost. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /**
   * From now on nothing passes and nobody is told: connections stay open, new ones are taken and stay silent, and the
   * server hears nothing of these. Neither side learns of it, as when a firewall forgets a connection or a machine loses
   * its power.
   */
  lose(): void;
  /** New connections work again. Those from before stay silent for ever, as they do behind a firewall that forgot them. */
  heal(): void;
  /** How many connections it has taken so far. */
  readonly taken: number;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  isLost: boolean;
}

export async function startProxy(port: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  const unheard = new Set<Socket>();
  let isLost = false;
  let taken = 0;

  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (near) => {
    taken++;
    if (isLost) {
      unheard.add(near.on('error', () => {}));
      return;
    }
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const pair: Pair = { near, far, isLost };
    pairs.add(pair);
    near.resume();
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk) => {
        if (!pair.isLost && !to.write(chunk)) from.pause();
      });
      to.on('drain', () => {
        if (!pair.isLost) from.resume();
      });
      from.on('end', () => {
        if (!pair.isLost) to.end();
      });
      from.on('error', () => {
        if (!pair.isLost) to.destroy();
      });
      from.on('close', () => {
        if (pair.isLost) return;
        to.destroy();
        pairs.delete(pair);
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    port: (server.address() as AddressInfo).port,
    get taken() {
      return taken;
    },
    lose() {
      isLost = true;
      for (const pair of pairs) silence(pair);
    },
    heal() {
      isLost = false;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of [...unheard, ...[...pairs].flatMap(({ near, far }) => [near, far])]) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Reads no more, so that not even an end is noticed. */
function silence(pair: Pair): void {
  pair.isLost = true;
  pair.near.pause();
  pair.far.pause();
}
