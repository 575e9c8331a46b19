import { dim, heading, percent, say, table } from '../scripts/demo/print.ts';
import { latencyOf, rounded } from './figures.ts';
import { figure } from './report.ts';
import type { Model } from './serve-generate.ts';

export interface HangSize {
  readonly calls: number;
  readonly inFlight: number;
  readonly deadlineMs: number;
}

const variants = [
  { name: 'every call waits for it', env: { LLM_COOLDOWN_MS: '0' } },
  { name: 'with the circuit', env: {} },
] as const;

/** Whether answers come by the caller's deadline when the model never answers. */
export async function hangs(model: Model, { calls, inFlight, deadlineMs }: HangSize) {
  const results = [];
  for (const { name, env } of variants) {
    say(dim(`   a model that hangs, ${calls} calls: ${name}`));
    const { url, script } = await model.serve('never', env);
    const { latenciesMs, wellMs, problems } = await model.load({
      target: { generateAt: url, timeoutMs: deadlineMs },
      inFlight,
      spreadMs: deadlineMs,
      runInMs: 0,
      measureMs: 0,
      callsMax: calls,
      pids: {},
    });
    await script.stop();
    const inTime = wellMs.filter((ms) => ms <= deadlineMs).length;
    const { p50Ms, p99Ms, maxMs } = latencyOf(latenciesMs);
    const share = rounded(inTime / calls);
    const failures = [...new Set(problems)];
    results.push({ variant: name, calls, failed: problems.length, failures, inTime, share, p50Ms, p99Ms, maxMs });
  }
  heading(`A model that hangs, a deadline of ${deadlineMs} ms, ${inFlight} at a time`);
  table(
    ['', 'calls', 'failed', 'in time', 'p50 ms', 'p99 ms', 'slowest ms'],
    results.map(({ variant, failed, share, p50Ms, p99Ms, maxMs }) => [
      variant,
      ...[calls, failed].map(String),
      share === 1 ? percent(1) : `${(share * 100).toFixed(1)} %`,
      ...[p50Ms, p99Ms, maxMs].map(figure),
    ]),
  );
  return results;
}
