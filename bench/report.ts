import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dim, say, table } from '../scripts/demo/print.ts';
import { rounded, type Spread } from './figures.ts';
import type { Stack } from './stack.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const results = fileURLToPath(new URL('results/', import.meta.url));

/** What a result must be read with: the same code on another machine, or beside other work, gives other figures. */
export function machineFacts(versions: Stack['versions']) {
  return {
    at: new Date().toISOString(),
    commit: git('rev-parse', 'HEAD'),
    /** Whether files differed from the commit. */
    isChanged: git('status', '--porcelain', '--untracked-files=no') !== '',
    processor: cpus()[0]?.model ?? '',
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch} ${release()}`,
    node: process.versions.node,
    ...versions,
    /** Runnable processes over the last minute before the run, in all of the machine. */
    loadBefore: rounded(loadavg()[0] ?? Number.NaN),
  };
}

export type MachineFacts = ReturnType<typeof machineFacts>;

/** Keeps a result beside those of the other benchmarks, in place of its last one. */
export function saveResult(name: string, result: object): void {
  mkdirSync(results, { recursive: true });
  const file = `${results}${name}.json`;
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  say();
  say(dim(`   all figures of all rounds: ${relative(process.cwd(), file)}`));
}

export function printMachine({ processor, cores, system, node, postgres, nats, loadBefore }: MachineFacts): void {
  say(
    dim(
      `   ${cores} cores, ${processor}, ${system}; Node ${node}, Postgres ${postgres}, NATS ${nats}; load before ${loadBefore}`,
    ),
  );
}

/** One line for each variant: a name, then ratios, each with the lowest and the highest round. */
export function printRatios(
  titles: readonly string[],
  lines: readonly (readonly [name: string, ...ratios: readonly (Spread | undefined)[]])[],
): void {
  table(
    ['', ...titles],
    lines.map(([name, ...ratios]) => [name, ...ratios.map(ratioCell)]),
  );
}

function ratioCell(ratio: Spread | undefined): string {
  if (ratio === undefined) return '–';
  const [median, min, max] = [ratio.median, ratio.min, ratio.max].map((value) => value.toFixed(2));
  return `${median} ×   (${min} – ${max})`;
}

/** A figure with no more digits than it deserves. */
export function figure(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '–';
  if (value >= 1000)
    return Math.round(value / 10 ** (Math.floor(Math.log10(value)) - 2)) // three digits that count
      .toString()
      .padEnd(Math.floor(Math.log10(value)) + 1, '0')
      .replace(/\B(?=(\d{3})+$)/g, ',');
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return ''; // a copy without its history
  }
}

/** The median of several rounds, with the lowest and the highest. */
export function spreadCell({ median, min, max }: Spread): string {
  return `${figure(median)} (${figure(min)} – ${figure(max)})`;
}
