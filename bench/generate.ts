import { dim, heading, say } from '../scripts/demo/print.ts';
import { hangs } from './generate-hang.ts';
import { overhead } from './generate-overhead.ts';
import { slowBeside } from './generate-slow.ts';
import { storePeople } from './people.ts';
import { machineFacts, printMachine } from './report.ts';
import { withModel } from './serve-generate.ts';
import { withStack } from './stack.ts';

const sizes = {
  full: {
    overhead: { rounds: 3, runInMs: 300, measureMs: 3_000, waitingMs: 6_000 },
    slow: { rounds: 3, inFlight: 1_000, delayMs: 5_000, scoresPerSecond: 100, measureMs: 8_000 },
    hang: { calls: 500, inFlight: 50, deadlineMs: 800 },
  },
  quick: {
    overhead: { rounds: 1, runInMs: 100, measureMs: 400, waitingMs: 1_500 },
    slow: { rounds: 1, inFlight: 200, delayMs: 1_000, scoresPerSecond: 50, measureMs: 1_000 },
    hang: { calls: 50, inFlight: 50, deadlineMs: 800 },
  },
} as const;

/** What `Generate` adds to its language model, what slow models do to a server and its Scores, and dead ones to answers. */
export async function benchGenerate(options: { readonly quick: boolean; readonly signal: AbortSignal }) {
  const size = options.quick ? sizes.quick : sizes.full;
  return withStack({ signal: options.signal, maxConnections: 2 }, async (stack) => {
    const machine = machineFacts(stack.versions);
    heading('generate: what one costs beside its language model');
    printMachine(machine);
    await storePeople(stack.database);
    const model = await withModel(stack);
    const results = {
      overhead: await overhead(model, size.overhead),
      slow: await slowBeside(model, size.slow),
      hang: await hangs(model, size.hang),
    };
    say();
    say(dim('   Each person asks once at a time: nothing is shared between calls, and nothing is cached.'));
    return { machine, settings: size, ...results };
  });
}
