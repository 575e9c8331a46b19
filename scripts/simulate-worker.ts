// Lives through worlds for `simulate.ts`, on a processor of its own.
import { parentPort } from 'node:worker_threads';
import { simulateAll } from '../pipelines/simulation/simulate.ts';
import type { WorldOptions } from '../pipelines/simulation/world.ts';
import { toTipScored } from '../server/tip-scored.ts';
import { contendersOf, type Field } from './simulate-contenders.ts';

parentPort?.on('message', ({ world, field }: { readonly world: WorldOptions; readonly field: Field }) => {
  parentPort?.postMessage(simulateAll(world, contendersOf(field), toTipScored));
});
