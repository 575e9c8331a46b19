import { spawn } from 'node:child_process';
import { waitFor } from '../../scripts/demo/wait-for.ts';

/** A script of this project, running as a process of its own. */
export interface NodeProcess {
  readonly pid: number;
  /** All it has printed, both streams. */
  output(): string;
  isRunning(): boolean;
  /** The exit code; undefined if a signal ended it. */
  readonly ended: Promise<number | undefined>;
  /** Waits until it has printed something. */
  printed(pattern: RegExp, timeoutMs: number): Promise<void>;
  /** Ends it with kill -9 and returns when it is gone. */
  kill(): Promise<void>;
  /** Asks it to stop and returns its exit code. */
  stop(): Promise<number | undefined>;
}

export function startNode(script: string, env: NodeJS.ProcessEnv, args: readonly string[] = []): NodeProcess {
  const child = spawn(process.execPath, [script, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk;
    });
  const ended = new Promise<number | undefined>((resolve) => child.once('close', (code) => resolve(code ?? undefined)));
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const end = async (signal: NodeJS.Signals) => {
    if (isRunning()) child.kill(signal);
    return ended;
  };
  return {
    pid: child.pid ?? 0,
    output: () => output,
    isRunning,
    ended,
    printed: async (pattern, timeoutMs) => {
      await waitFor(`${script} to print ${pattern}`, async () => pattern.test(output), timeoutMs);
    },
    kill: async () => {
      await end('SIGKILL');
    },
    stop: () => end('SIGTERM'),
  };
}
