// kill -9 between every two steps. The real consumers, killed at one point after the other, each process going on where
// the one before it was killed.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../../scripts/demo/wait-for.ts';
import { crashes, crashPoints } from './crash-points.ts';
import { badKinds, expectTablesToEqualTheirEvents, plainForm } from './ledger.ts';
import { type Rig, startRig } from './rig.ts';
import { anyEvent, fresh } from './story.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** A dozen events, some of them twice in what will be one batch, and two that can never be stored among them. */
async function publishSome(seed: number): Promise<void> {
  const { ledger } = rig;
  const events = fc.sample(anyEvent, { numRuns: 12, seed });
  for (const [i, event] of events.map(fresh).entries()) {
    await ledger.publish(event);
    if (i % 3 === 0) await ledger.publish(event, { ...plainForm, isJson: true });
    const kind = badKinds[(seed + i) % badKinds.length];
    if (i % 6 === 0 && kind) await ledger.publishBad(kind, event);
  }
}

describe('kill -9', () => {
  it.each(crashes)(
    '$point, passage $passage: whatever is stored is stored whole',
    { timeout: 60_000 },
    async ({ point, passage }) => {
      await publishSome(crashPoints.indexOf(point) + 100 * passage);
      const consumers = rig.start('tests/chaos/crashing-consumers.ts', {
        CRASH_AT: point,
        CRASH_PASSAGE: String(passage),
      });
      await waitFor(`the process to be killed ${point}`, async () => !consumers.isRunning(), 30_000);
      expect(await consumers.ended, consumers.output()).toBeUndefined();
      expect(consumers.output()).toContain(`killed ${point}`);
      await expectTablesToEqualTheirEvents(rig.database);
    },
  );

  it('anywhere loses nothing and doubles nothing: one more process settles all', { timeout: 60_000 }, async () => {
    rig.start();
    await rig.drained();
    await rig.ledger.check();
    expect(rig.ledger.badMessages).toBe(crashes.length * 2);
  });
});
