import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { newFolder } from '../../tests/_util/servers.ts';
import { freePort } from './free-port.ts';
import {
  endProcess,
  findProcesses,
  isRunning,
  makeFolder,
  readNumber,
  run,
  startInBackground,
  until,
  withLock,
} from './process.ts';

const folder = () => {
  const path = newFolder('process');
  mkdirSync(path);
  return path;
};

/** A process that holds the lock until it is ended. */
async function holder(lock: string): Promise<ChildProcess> {
  const program = `import { withLock } from './process.ts';
    await withLock(${JSON.stringify(lock)}, () => { console.log('held'); return new Promise((done) => setTimeout(done, 60_000)); });`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout !== null) await once(child.stdout, 'data');
  return child;
}

describe('withLock', () => {
  it('lets one piece of work run at a time', async () => {
    const lock = join(folder(), 'lock');
    let running = 0;
    let most = 0;
    const work = async () => {
      running++;
      most = Math.max(most, running);
      await sleep(20);
      running--;
      return running;
    };
    expect(await Promise.all([1, 2, 3, 4].map(() => withLock(lock, work)))).toEqual([0, 0, 0, 0]);
    expect(most).toBe(1);
  });

  it('is free again after work that failed', async () => {
    const lock = join(folder(), 'lock');
    await expect(withLock(lock, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await withLock(lock, async () => 'yes', 1000)).toBe('yes');
  });

  it('waits for another process, and is free as soon as that is killed', async () => {
    const lock = join(folder(), 'lock');
    const other = await holder(lock);
    await expect(withLock(lock, async () => 'mine', 300)).rejects.toThrow(/Another process has held .*lock for 0\.3 s/);
    const mine = withLock(lock, async () => 'mine');
    other.kill('SIGKILL');
    expect(await mine).toBe('mine');
  });
});

describe('processes', () => {
  const forever = ['-e', 'setInterval(() => undefined, 1000)'];

  it('are told apart by pid and argument', async () => {
    const mark = join(folder(), 'mark');
    const { pid } = startInBackground(process.execPath, [...forever, mark], join(folder(), 'log'));
    expect(await until(() => isRunning(pid, mark), 5000)).toBe(true);
    expect(isRunning(pid, `${mark}2`)).toBe(false);
    expect(isRunning(pid, mark.slice(0, -1))).toBe(false);
    expect(findProcesses(mark)).toEqual([pid]);
    expect(await endProcess(pid, `${mark}2`, ['SIGKILL'], 1000)).toBe(true);
    expect(isRunning(pid, mark)).toBe(true);
    expect(await endProcess(pid, mark, ['SIGTERM', 'SIGKILL'], 5000)).toBe(true);
    expect(isRunning(pid, mark)).toBe(false);
    expect(findProcesses(mark)).toEqual([]);
  });

  it('end even if they are stopped or deaf', async () => {
    const mark = join(folder(), 'mark');
    const deaf = [
      '-e',
      'process.on("SIGTERM", () => undefined); setInterval(() => undefined, 1000); console.log("up")',
    ];
    const background = startInBackground(process.execPath, [...deaf, mark], join(folder(), 'log'));
    expect(await until(() => background.output() === 'up', 5000)).toBe(true);
    process.kill(background.pid, 'SIGSTOP');
    expect(await endProcess(background.pid, mark, ['SIGTERM', 'SIGKILL'], 300)).toBe(true);
    expect(await until(() => background.ended() === 'signal SIGKILL', 1000)).toBe(true);
  });

  it('show their own output when they fail', async () => {
    const log = join(folder(), 'log');
    writeFileSync(log, 'of an earlier start\n');
    const background = startInBackground(process.execPath, ['-e', 'console.error("no luck"); process.exit(3)'], log);
    expect(await until(() => background.ended() !== undefined, 5000)).toBe(true);
    expect([background.ended(), background.output()]).toEqual(['exit code 3', 'no luck']);
    expect(readFileSync(log, 'utf8')).toMatch(/^of an earlier start\n/);
    const missing = startInBackground('/does/not/exist', [], log);
    expect(await until(() => missing.ended() !== undefined, 5000)).toBe(true);
    expect(missing.ended()).toMatch(/ENOENT/);
  });
});

describe('run', () => {
  it('returns what was printed', async () => {
    expect(await run('sh', ['-c', 'echo a; echo b'])).toBe('a\nb');
  });

  it.each([
    ['sh', ['-c', 'echo why >&2; exit 4'], /sh ended with exit code 4:\nwhy/],
    ['sh', ['-c', 'kill -9 $$'], /sh ended with SIGKILL/],
    ['/does/not/exist', [], /ENOENT/],
  ])('fails as %s %j did', async (program, args, message) => {
    await expect(run(program, args)).rejects.toThrow(message);
  });

  it('ends what takes too long', async () => {
    await expect(run('sleep', ['60'], { timeoutMs: 100 })).rejects.toThrow('sleep ended with SIGKILL');
  });
});

describe('files', () => {
  it.each([
    ['42\n', 42],
    ['42 and more', 42],
    ['', undefined],
    ['zero', undefined],
    ['-1', undefined],
  ])('of text %j hold the number %j', (text, number) => {
    const file = join(folder(), 'number');
    writeFileSync(file, text);
    expect(readNumber(file)).toBe(number);
  });

  it('that are missing hold none', () => {
    expect(readNumber('/does/not/exist')).toBeUndefined();
  });

  it('in the way of a folder are reported with what to do', () => {
    const file = join(folder(), 'file');
    writeFileSync(file, '');
    expect(() => makeFolder(join(file, 'sub'))).toThrow(/Cannot write to .*sub\. Give it to this user or remove it/);
  });
});

describe('freePort', () => {
  it('gives the wished one only if it is free', async () => {
    const wished = await freePort();
    expect(await freePort([undefined, wished])).toBe(wished);
    const server = createServer().listen(wished, '127.0.0.1');
    await once(server, 'listening');
    expect(await freePort([wished])).not.toBe(wished);
    server.close();
  });

  it('stays away from the ports of outgoing connections', async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, () => freePort()));
    expect(ports.filter((port) => port < 15_000 || port >= 32_000)).toEqual([]);
    expect(new Set(ports).size).toBeGreaterThan(45);
  });
});
