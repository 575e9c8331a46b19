// `npm run bench [-- <name>…] [-- --quick]`: measures, each with its yardstick in the same run. See docs/benchmarks.md.

import { parseArgs } from 'node:util';
import { say } from '../scripts/demo/print.ts';
import { benchConsume } from './consume.ts';
import { benchGenerate } from './generate.ts';
import { benchOnnx } from './onnx.ts';
import { benchPolicies } from './policies.ts';
import { benchRead } from './read.ts';
import { benchRebuild } from './rebuild.ts';
import { saveResult } from './report.ts';
import { benchScore } from './score.ts';
import { benchShadow } from './shadow.ts';
import { benchTraining } from './training.ts';

const benchmarks = {
  policies: benchPolicies,
  score: benchScore,
  consume: benchConsume,
  read: benchRead,
  rebuild: benchRebuild,
  training: benchTraining,
  shadow: benchShadow,
  generate: benchGenerate,
  onnx: benchOnnx,
} as const;
type Name = keyof typeof benchmarks;
const names = Object.keys(benchmarks) as Name[];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false } },
});
const unknown = positionals.filter((name) => !names.some((known) => known === name));
if (unknown.length > 0) {
  process.stderr.write(`there is no benchmark ${unknown.join(', ')}: choose from ${names.join(', ')}\n`);
  process.exit(2);
}

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort(new Error('stopped')));
try {
  for (const name of names.filter((name) => positionals.length === 0 || positionals.includes(name))) {
    const result = await benchmarks[name]({ quick: values.quick, signal: stop.signal });
    // A quick run shows that all works. Its figures are worth nothing.
    if (!values.quick) saveResult(name, { name, ...result });
  }
} catch (error) {
  say();
  process.stderr.write(`${error instanceof Error && !stop.signal.aborted ? error.stack : 'stopped'}\n`);
  process.exitCode = 1;
}
setTimeout(() => process.exit(), 2_000).unref(); // a handle left open must not keep a finished run alive
