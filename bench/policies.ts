import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { decide } from '../experiments/decide.ts';
import { uniform } from '../experiments/draw.ts';
import { add, contributionOf, type Statistics } from '../experiments/linear-model.ts';
import { policies } from '../experiments/policies/index.ts';
import { nothingLearnt } from '../experiments/statistics.ts';
import { noBuckets } from '../features/buckets.ts';
import { readMoment } from '../features/moment.ts';
import { readProfile } from '../features/profile.ts';
import { encodeVectors, type Vector } from '../features/vector.ts';
import { ScoreRequestSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { newId } from '../platform/ids.ts';
import { dim, heading, say, table } from '../scripts/demo/print.ts';
import { ratio, rounded, type Spread, spread } from './figures.ts';
import { personId } from './people.ts';
import { figure, machineFacts, printMachine, printRatios } from './report.ts';
import { exampleRequest } from './requests.ts';

const sizes = { full: { rounds: 9, blockMs: 60 }, quick: { rounds: 1, blockMs: 10 } } as const;
const candidateCounts = [20, 100] as const;

/** CPU of this thread for one call of each, in microseconds, by round. */
interface Series {
  readonly name: string;
  readonly candidates: number;
  readonly micros: readonly number[];
  /** Of decoding the same request, in the same round. */
  readonly ofDecoding: Spread | undefined;
}

/** What a policy costs a Score, its fit and draw included, beside decoding the request that asks for it. */
export async function benchPolicies(options: { readonly quick: boolean; readonly signal: AbortSignal }) {
  const size = options.quick ? sizes.quick : sizes.full;
  const machine = machineFacts({ postgres: '–', nats: '–' });
  heading('policies: what deciding costs beside decoding the request');
  printMachine(machine);
  const series: Series[] = [];
  for (const candidates of candidateCounts) {
    say(dim(`   ${candidates} candidates`));
    options.signal.throwIfAborted();
    series.push(...measure(candidates, size));
  }
  print(series, size.rounds);
  return { machine, settings: size, series };
}

function measure(candidates: number, { rounds, blockMs }: (typeof sizes)['full' | 'quick']): readonly Series[] {
  const nowMs = Date.now();
  const request = exampleRequest(newId(nowMs), personId(0), candidates);
  const bytes = toBinary(ScoreRequestSchema, request);
  const vectors = encodeVectors(
    request.candidates.map(({ features }) => ({
      isOverdue: features?.isOverdue ?? false,
      taskAgeDays: features?.taskAgeDays ?? 0,
      priority: features?.priority ?? 1,
    })),
    readProfile({ buckets: noBuckets }, nowMs),
    readMoment(request.context, nowMs),
  );
  const learnt = { person: rewarded(vectors, 50), population: rewarded(vectors, 5_000) };
  const works = new Map<string, () => unknown>([
    ['decoding the request', () => fromBinary(ScoreRequestSchema, bytes)],
    ...[...policies.values()].map(
      (policy) => [policy.name, () => decide(policy, vectors, request.requestId, learnt)] as const,
    ),
  ]);
  const micros = new Map([...works.keys()].map((name): [string, number[]] => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, work] of works) {
      const cost = microsOf(work, blockMs);
      if (round > 0) micros.get(name)?.push(rounded(cost)); // the first warms up
    }
  }
  const [decoding = []] = micros.values();
  return [...micros].map(([name, values]) => ({
    name,
    candidates,
    micros: values,
    ofDecoding: values === decoding ? undefined : ratio(values, decoding),
  }));
}

/** What was learnt from rewards drawn from a fixed seed. */
function rewarded(vectors: readonly Vector[], count: number): Statistics {
  const parts = Array.from({ length: count }, (_, i) => {
    const vector = vectors[Math.floor(uniform(1n, i) * vectors.length)] ?? [];
    return contributionOf(vector, Math.round(uniform(2n, i) * 2000) - 1000) ?? nothingLearnt;
  });
  return parts.reduce(add, nothingLearnt);
}

function microsOf(work: () => unknown, blockMs: number): number {
  let calls = 0;
  const before = process.threadCpuUsage();
  for (const endsAt = performance.now() + blockMs; performance.now() < endsAt; calls += 10) {
    for (let i = 0; i < 10; i++) work();
  }
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / calls;
}

function print(series: readonly Series[], rounds: number): void {
  const decided = series.filter(({ ofDecoding }) => ofDecoding);
  const names = [...new Set(decided.map(({ name }) => name))];
  heading(`CPU of a decision as a multiple of decoding its request: median of ${rounds} rounds (lowest – highest)`);
  printRatios(
    candidateCounts.map((count) => `${count} candidates`),
    names.map((name) => [
      name,
      ...candidateCounts.map(
        (count) => decided.find((each) => each.name === name && each.candidates === count)?.ofDecoding,
      ),
    ]),
  );
  heading('µs of CPU per call, medians');
  table(
    ['', ...candidateCounts.map((count) => `${count} candidates`)],
    [...new Set(series.map(({ name }) => name))].map((name) => [
      name,
      ...candidateCounts.map((count) => {
        const found = series.find((each) => each.name === name && each.candidates === count);
        return figure(found && spread(found.micros).median);
      }),
    ]),
  );
}
