import { dim, heading, say, table } from '../scripts/demo/print.ts';
import { environments } from '../tests/interop/environments.ts';
import { startLitellm } from '../tests/interop/litellm-server.ts';
import { findPython } from '../tests/interop/python.ts';
import { latencyOf, rounded, type Spread, spread } from './figures.ts';
import type { GenerateLoadTask } from './generate-load.ts';
import { figure } from './report.ts';
import type { Model } from './serve-generate.ts';

export interface OverheadSize {
  readonly rounds: number;
  readonly runInMs: number;
  readonly measureMs: number;
  /** The same where the model takes its time. */
  readonly waitingMs: number;
}

/** How long a model takes, and how many calls are under way. Only the last is a service that is busy, not a full machine. */
const cases = [
  { delayMs: 0, inFlight: 1 },
  { delayMs: 0, inFlight: 20 },
  { delayMs: 0, inFlight: 200 },
  { delayMs: 1_000, inFlight: 200 },
] as const;
type Case = (typeof cases)[number];

interface Round {
  /** Latencies are less what the model takes. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly count: number;
  readonly perSecond: number;
  readonly serverMicros: number | undefined;
}

interface Variant {
  readonly name: string;
  target(delayMs: Case['delayMs']): GenerateLoadTask['target'];
  /** Of the process that is measured. */
  pid(delayMs: Case['delayMs']): number | undefined;
}

/** How much later an answer comes than the model's own, in the same round. */
export async function overhead(model: Model, size: OverheadSize) {
  const servers = { 0: await model.serve(0), 1000: await model.serve(1_000) };
  const question = await model.lastQuestion();
  await using litellm = await startProxy(model);
  const variants: readonly Variant[] = [
    { name: 'raw fetch', target: (ms) => ({ post: chatOf(model.urlOf(ms)), body: question }), pid: () => undefined },
    {
      name: 'read, fetch, log',
      target: (ms) => ({ post: chatOf(model.urlOf(ms)), body: question, around: model.stack.urls }),
      pid: () => undefined,
    },
    {
      name: 'Generate',
      target: (ms) => ({ generateAt: servers[ms].url }),
      pid: (ms) => servers[ms].script.pid,
    },
    ...(litellm ? [throughLitellm(litellm, question)] : []),
  ];

  const measure = async (variant: Variant, at: Case, measureMs: number): Promise<Round> => {
    const pid = variant.pid(at.delayMs);
    const { latenciesMs, problems, perSecond, cpuMicros } = await model.load({
      target: variant.target(at.delayMs),
      inFlight: at.inFlight,
      spreadMs: at.delayMs,
      runInMs: size.runInMs,
      measureMs,
      pids: { ...(pid !== undefined && { server: pid }) },
    });
    if (problems.length > 0) throw new Error(`${problems.length} calls by ${variant.name} failed: ${problems[0]}`);
    const { p50Ms, p99Ms, count } = latencyOf(latenciesMs.map((ms) => ms - at.delayMs));
    return { p50Ms, p99Ms, count, perSecond: rounded(perSecond), serverMicros: cpuMicros.server };
  };

  say(dim('   warming up'));
  for (const variant of variants) for (const at of cases.slice(1)) await measure(variant, at, size.runInMs);
  const rounds = cases.map(() => variants.map((): Round[] => []));
  for (let round = 1; round <= size.rounds; round++) {
    say(dim(`   beside a raw fetch, round ${round} of ${size.rounds}`));
    for (const [c, at] of cases.entries())
      for (const [v, variant] of variants.entries())
        rounds[c]?.[v]?.push(await measure(variant, at, at.delayMs > 0 ? size.waitingMs : size.measureMs));
  }
  for (const { script } of Object.values(servers)) await script.stop();

  const results = cases.map((at, c) => ({
    ...at,
    variants: variants.map(({ name }, v) => summary(name, rounds[c]?.[v] ?? [], rounds[c]?.[0] ?? [])),
  }));
  print(results, size.rounds);
  if (!litellm) say(dim('   LiteLLM is left out: `npm run test:interop` makes its environment.'));
  return results;
}

function summary(variant: string, rounds: readonly Round[], raw: readonly Round[]) {
  const median = (get: (round: Round) => number | undefined) => {
    const values = rounds.map(get).filter((value) => value !== undefined);
    return values.length === 0 ? undefined : rounded(spread(values).median);
  };
  const over = (get: (round: Round) => number): Spread =>
    spread(rounds.map((round, i) => rounded(get(round) - (raw[i] ? get(raw[i]) : Number.NaN))));
  return {
    variant,
    p50Ms: median(({ p50Ms }) => p50Ms),
    p99Ms: median(({ p99Ms }) => p99Ms),
    perSecond: median(({ perSecond }) => perSecond),
    serverMicros: median(({ serverMicros }) => serverMicros),
    overP50Ms: over(({ p50Ms }) => p50Ms),
    overP99Ms: over(({ p99Ms }) => p99Ms),
    rounds,
  };
}

const chatOf = (baseUrl: string) => `${baseUrl}/chat/completions`;

/** Undefined: its environment is not installed, which is none of a benchmark's business. */
async function startProxy(model: Model) {
  const bin = await findPython(environments.litellm).catch(() => undefined);
  if (!bin) return undefined;
  say(dim('   starting LiteLLM'));
  const upstream = (delayMs: number) => ({
    model: 'openai/bench',
    api_key: 'none',
    api_base: model.urlOf(delayMs),
  });
  const models = Object.fromEntries(cases.map(({ delayMs }) => [`after-${delayMs}`, upstream(delayMs)]));
  return await startLitellm({ bin, folder: `${model.stack.folder}/litellm`, models });
}

function throughLitellm(litellm: Awaited<ReturnType<typeof startLitellm>>, question: string): Variant {
  return {
    name: 'LiteLLM',
    target: (ms) => ({
      post: chatOf(litellm.baseUrl),
      body: JSON.stringify({ ...JSON.parse(question), model: `after-${ms}` }),
      apiKey: litellm.apiKey,
    }),
    pid: () => litellm.pids()[0],
  };
}

function print(
  results: readonly (Case & { readonly variants: readonly ReturnType<typeof summary>[] })[],
  rounds: number,
) {
  const more = ({ median, min, max }: Spread) => `${figure(median)}   (${figure(min)} – ${figure(max)})`;
  for (const { delayMs, inFlight, variants } of results) {
    const speed = delayMs === 0 ? 'answers at once' : `takes ${delayMs} ms (left out)`;
    heading(`A model that ${speed}, ${inFlight} at a time: medians of ${rounds} rounds (lowest – highest)`);
    table(
      ['', 'p50 ms', 'p99 ms', 'calls/s', 'CPU µs', 'p50 over raw, ms', 'p99 over raw, ms'],
      variants.map(({ variant, p50Ms, p99Ms, perSecond, serverMicros, overP50Ms, overP99Ms }, i) => [
        variant,
        ...[p50Ms, p99Ms, perSecond, serverMicros].map(figure),
        ...(i === 0 ? ['–', '–'] : [more(overP50Ms), more(overP99Ms)]),
      ]),
    );
  }
}
