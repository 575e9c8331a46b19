import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below every system's range for outgoing connections, so that none of those takes the port between look and use. */
const RANGE = [15_000, 32_000] as const;
const TRIES = 100;

/**
 * A TCP port of 127.0.0.1 on which nobody listens: the first free one of `wished`, else a random one. Another process
 * may still take it first, so whoever starts a server on it must be ready to ask again.
 */
export async function freePort(wished: readonly (number | undefined)[] = []): Promise<number> {
  for (const port of wished) {
    if (port !== undefined && (await isFree(port))) return port;
  }
  for (let i = 0; i < TRIES; i++) {
    const port = randomInt(...RANGE);
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port found on 127.0.0.1 between ${RANGE[0]} and ${RANGE[1]} in ${TRIES} tries.`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
