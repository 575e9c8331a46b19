/**
 * `npm run simulate [-- --seeds 40 --people 18 --days 35 --charts FOLDER]`: synthetic people live with every policy, and how
 * much each policy loses against the best that it could have shown (docs/simulation.md). `--field grid`: with other
 * hyperparameters, on other seeds; `--field former`: what was served before that. `--replay 100000`: makes so many decisions
 * and replays each from its log. `--servers`: small worlds through the real servers, beside the same in memory. The last
 * two end with 1 if anything differs.
 */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { policies } from '../experiments/policies/index.ts';
import { random } from '../experiments/policies/random.ts';
import { differenceOf, type Estimate, estimateOf } from '../pipelines/simulation/compare.ts';
import { drawRegret } from '../pipelines/simulation/regret-chart.ts';
import { replayAll } from '../pipelines/simulation/replay.ts';
import type { Life } from '../pipelines/simulation/simulate.ts';
import { createVisits, type WorldKind, type WorldOptions, worldKinds } from '../pipelines/simulation/world.ts';
import { toTipScored } from '../server/tip-scored.ts';
import { readArguments } from './arguments.ts';
import { heading, say, table } from './demo/print.ts';
import { contendersOf, type Field, fields, unpooled, type Way, ways } from './simulate-contenders.ts';
import { compareWithServers } from './simulate-servers.ts';

const usage = `Usage: npm run simulate [-- --seeds <2 or more> --people <number> --days <14 or more> --charts <folder>]
       npm run simulate -- --field ${fields.join('|')} [the same]
       npm run simulate -- --replay <decisions>
       npm run simulate -- --servers`;

const options = readArguments(usage, () => {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '40' },
      people: { type: 'string', default: '18' },
      days: { type: 'string', default: '35' },
      charts: { type: 'string' },
      replay: { type: 'string' },
      field: { type: 'string', default: 'standard' },
      servers: { type: 'boolean', default: false },
    },
  });
  const whole = (name: 'seeds' | 'people' | 'days' | 'replay', least: number): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < least)
      throw new Error(`--${name} must be a whole number, ${least} or more`);
    return value;
  };
  const size = { seeds: whole('seeds', 2), people: whole('people', 1), days: whole('days', 14) };
  const { servers, charts } = values;
  const field = fields.find((each) => each === values.field);
  if (!field) throw new Error(`--field must be one of ${fields.join(', ')}`);
  return { ...size, field, servers, charts, replay: values.replay === undefined ? undefined : whole('replay', 1) };
});

const weekDays = 7;

if (options.servers) process.exitCode = (await printServers()) ? 0 : 1;
else if (options.replay !== undefined) process.exitCode = printReplay(options.replay) ? 0 : 1;
else await printRegret(options.field);

async function printRegret(field: Field): Promise<void> {
  const { seeds, people, charts } = options;
  const names = contendersOf(field).map(({ name }) => name);
  const yardstick = names.find((name) => name.startsWith(random.name)) ?? '';
  const kinds = field === 'grid' ? (['stationary', 'drifting'] as const) : worldKinds;
  const firstSeed = field === 'grid' ? 1001 : 1; // what is chosen by the grid is not judged on the worlds it was chosen on
  const startedAt = performance.now();
  say(
    `   ${seeds} seeds from ${firstSeed}, ${people} people who join one after another; regret per person, in rewards`,
  );

  for (const kind of kinds) {
    const days = kind === 'alike' ? 2 * weekDays : options.days; // it is there for the first week
    const worlds = Array.from({ length: seeds }, (_, i) => ({
      kind,
      seed: firstSeed + i,
      people,
      days,
      joinDays: days,
    }));
    const lives = await liveInAll(worlds, field);
    const regretOn: RegretOn = (name, day, whose = 'regret') =>
      lives.map((all) => all[names.indexOf(name)]?.[whose][day - 1] ?? Number.NaN);

    heading(`The ${kind} world, ${days} days`);
    const pooled = names.filter((name) => !ways.some((way) => name.endsWith(unpooled('', way))));
    printAgainstRandom(pooled, yardstick, days, regretOn);
    if (field === 'former') printAgainstFormer(pooled, days, regretOn);
    for (const way of ways) {
      const learning = pooled.filter((name) => names.includes(unpooled(name, way)));
      printPooling(learning, way, days, regretOn);
    }
    if (field === 'standard' && charts !== undefined) writeChart(charts, kind, days, regretOn);
    const decisions = lives.flat().reduce((sum, life) => sum + life.decisions, 0);
    const seconds = (performance.now() - startedAt) / 1000;
    say(`   ${decisions} decisions; ${seconds.toFixed(0)} s since the start`);
  }
}

/** The regret of a contender by the end of a day, for each seed. The first day is 1. Of all people, if not said. */
type RegretOn = (name: string, day: number, whose?: 'regret' | 'regretOfLast') => readonly number[];

function printAgainstRandom(names: readonly string[], yardstick: string, days: number, regretOn: RegretOn): void {
  const rows = names.map((name) => ({
    name,
    week: estimateOf(regretOn(name, weekDays)),
    all: estimateOf(regretOn(name, days)),
    less: differenceOf(regretOn(name, days), regretOn(yardstick, days)),
  }));
  if (options.field === 'grid') rows.sort((a, b) => a.all.mean - b.all.mean);
  table(
    ['policy', 'first week', '95 %', `${days} days`, '95 %', 'minus random', '95 %'],
    rows.map(({ name, week, all, less }) => [name, ...cells(week), ...cells(all), ...cells(less)]),
  );
}

/** Each policy as it is served beside what it was before, which stands before it. */
function printAgainstFormer(names: readonly string[], days: number, regretOn: RegretOn): void {
  const policyOf = (name: string) => name.split(' ')[0];
  const pairs = names.flatMap((name) => {
    const former = names.find((each) => policyOf(each) === policyOf(name));
    return former === undefined || former === name ? [] : [{ name, former }];
  });
  say();
  table(
    ['served minus former', 'first week', '95 %', `${days} days`, '95 %'],
    pairs.map(({ name, former }) => {
      const after = (day: number) => cells(differenceOf(regretOn(name, day), regretOn(former, day)));
      return [name, ...after(weekDays), ...after(days)];
    }),
  );
}

function printPooling(names: readonly string[], way: Way, days: number, regretOn: RegretOn): void {
  if (names.length === 0) return;
  say();
  table(
    [`pooled minus ${way}`, 'first week', '95 %', 'of the last third', '95 %', `${days} days`, '95 %'],
    names.map((name) => {
      const after = (day: number, whose?: 'regretOfLast') =>
        cells(differenceOf(regretOn(name, day, whose), regretOn(unpooled(name, way), day, whose)));
      return [name, ...after(weekDays), ...after(weekDays, 'regretOfLast'), ...after(days)];
    }),
  );
}

function writeChart(folder: string, kind: WorldKind, days: number, regretOn: RegretOn): void {
  const curves = [...policies.keys()].map((name) => ({
    name,
    points: Array.from({ length: days }, (_, i) => estimateOf(regretOn(name, i + 1))),
  }));
  mkdirSync(folder, { recursive: true });
  const title = `Cumulative regret per person, ${kind} world, ${options.seeds} seeds`;
  writeFileSync(join(folder, `regret-${kind}.svg`), drawRegret({ title, curves }));
}

function cells({ mean, low, high }: Estimate): [string, string] {
  return [mean.toFixed(2), `${low.toFixed(2)} to ${high.toFixed(2)}`];
}

/** One world at a time on each processor. What comes out does not depend on how many there are. */
async function liveInAll(worlds: readonly WorldOptions[], field: Field): Promise<readonly (readonly Life[])[]> {
  const lives: (readonly Life[])[] = [];
  let next = 0;
  const work = async () => {
    const worker = new Worker(new URL('./simulate-worker.ts', import.meta.url));
    try {
      for (let i = next++; i < worlds.length; i = next++) {
        worker.postMessage({ world: worlds[i], field });
        [lives[i]] = await once(worker, 'message'); // rejects if the worker fails
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(worlds.length, availableParallelism()) }, work));
  return lives;
}

function printReplay(decisions: number): boolean {
  let isRight = true;
  const perPolicy = Math.ceil(decisions / policies.size);
  const people = 42;
  const rows = [...policies.values()].map((policy) => {
    const days = Math.max(14, Math.ceil(perPolicy / (people * 2.9))); // a little under three Scores a day
    const visits = createVisits({ kind: 'drifting', seed: 1, people, days, joinDays: 14 }).slice(0, perPolicy);
    const replay = replayAll(visits, policy, toTipScored);
    isRight &&= replay.equal === replay.decisions && replay.decisions === perPolicy && replay.largestError <= 1e-12;
    return [
      policy.name,
      String(replay.decisions),
      String(replay.equal),
      String(replay.fallbacks),
      replay.largestError.toExponential(1),
      ...replay.examples.slice(0, 1),
    ];
  });
  table(['policy', 'decisions', 'bit-equal', 'fallbacks', 'largest |sum of propensities - 1|'], rows);
  return isRight;
}

async function printServers(): Promise<boolean> {
  const rows = await compareWithServers();
  table(
    ['policy', 'decisions', 'same tip', 'same probabilities', 'same log', 'rewards learnt from'],
    rows.map((row) => [
      row.policy,
      ...[row.decisions, row.sameTip, row.samePropensities, row.sameLog, row.rewards].map(String),
    ]),
  );
  return rows.every(
    ({ decisions, sameTip, samePropensities, sameLog, rewards }) =>
      [sameTip, samePropensities, sameLog].every((count) => count === decisions) && rewards > 0,
  );
}
