import { spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import { StartupError } from '../platform/run-main.ts';

export interface ProcessOptions {
  readonly name: string;
  readonly script: string;
  readonly env: NodeJS.ProcessEnv;
  /** Its output goes to `<logDir>/<name>.log`, anew for every start. */
  readonly logDir: string;
}

export interface RunningProcess {
  /** Rejects, with the end of its log, if the process ends before `stop`. Never resolves. */
  readonly ended: Promise<never>;
  stop(): Promise<void>;
}

const graceMs = 15_000;

/** Runs a script of this project with the Node that runs us. */
export function startProcess({ name, script, env, logDir }: ProcessOptions): RunningProcess {
  mkdirSync(logDir, { recursive: true });
  const logFile = `${logDir}/${name}.log`;
  const log = openSync(logFile, 'w');
  const child = spawn(process.execPath, [script], { env, stdio: ['ignore', log, log] });
  let isStopping = false;
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`exit code ${code ?? signal}`));
  });
  const ended = exited.then((how) => {
    if (isStopping) return new Promise<never>(() => {});
    const lastLines = readFileSync(logFile, 'utf8').trim().split('\n').slice(-15).join('\n');
    throw new StartupError(`the ${name} process ended (${how}):\n${lastLines}`);
  });
  ended.catch(() => {}); // whoever waits for it hears of it
  return {
    ended,
    async stop() {
      isStopping = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(timer);
    },
  };
}
