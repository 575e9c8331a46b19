import { expect, it } from 'vitest';
import type { BanditMeasurement } from '../experiments/bandit.ts';
import { parseExperiments } from '../experiments/experiment.ts';
import { followBandits } from './follow-bandits.ts';

const { experiments } = parseExperiments(
  {
    experiments: ['one', 'two'].map((key, i) => ({
      ...{ key, version: '1', status: 'running', bandit: { policy: 'ucb1', floor: 0.1 } },
      arms: ['v1', 'v2'].map((promptVersion) => ({ key: promptVersion, promptVersion })),
      namespace: { key: 'prompts', from: i / 2, to: (i + 1) / 2 },
    })),
  },
  { policies: new Set(), promptVersions: new Set(['v1', 'v2']) },
);
const [one, two] = experiments;
if (!one || !two) throw new Error('no experiments');

const measurement = (number: number, best: string): BanditMeasurement => ({
  number,
  arms: new Map(['v1', 'v2'].map((key) => [key, { pulls: 100, reward: key === best ? 50_000 : -50_000 }])),
});

/** Follows what `newest` is by then: by experiment. Undefined: it cannot be read. */
function following() {
  const warnings: string[] = [];
  const state: { newest: Readonly<Record<string, BanditMeasurement>> | undefined } = { newest: {} };
  const followed = followBandits({
    reader: {
      async readNewest(knownNumber) {
        if (!state.newest) throw new Error('gone');
        const { newest } = state;
        const number = Math.max(0, ...Object.values(newest).map((each) => each.number));
        return number === knownNumber ? undefined : { number, of: ({ key }) => newest[key] };
      },
    },
    log: {
      info: () => undefined,
      warn: (_: unknown, text?: string) => warnings.push(String(text)),
      error: expect.fail,
    },
  });
  return { followed, state, warnings };
}

it('all arms are equal until anything was measured, and where measurements cannot be read, and the log says so', async () => {
  const { followed, state, warnings } = following();
  expect(followed.epochOf(one)).toMatchObject({ measurement: 0, propensities: [0.5, 0.5] });
  await followed.refresh();
  expect(followed.epochOf(one)).toMatchObject({ measurement: 0, propensities: [0.5, 0.5] });
  state.newest = undefined;
  await followed.refresh();
  expect(followed.epochOf(one)).toMatchObject({ measurement: 0, propensities: [0.5, 0.5] });
  expect(warnings).toEqual(['measurements of bandits cannot be read, the last ones stay']);
});

it('each bandit follows its own newest measurement, and keeps it on an outage', async () => {
  const { followed, state } = following();
  state.newest = { one: measurement(1, 'v1') };
  await followed.refresh();
  expect(followed.epochOf(one)).toMatchObject({ measurement: 1, propensities: [0.9, 0.1] });
  expect(followed.epochOf(two)).toMatchObject({ measurement: 0, propensities: [0.5, 0.5] });
  state.newest = { one: measurement(1, 'v1'), two: measurement(2, 'v2') };
  await followed.refresh();
  expect(followed.epochOf(one)).toMatchObject({ measurement: 1, propensities: [0.9, 0.1] });
  expect(followed.epochOf(two)).toMatchObject({ measurement: 2, propensities: [0.1, 0.9] });
  state.newest = undefined;
  await followed.refresh();
  expect(followed.epochOf(two)).toMatchObject({ measurement: 2, propensities: [0.1, 0.9] });
});

it('what a bandit draws by is worked out once for each measurement', async () => {
  const { followed, state } = following();
  state.newest = { one: measurement(1, 'v1') };
  await followed.refresh();
  const epoch = followed.epochOf(one);
  expect(followed.epochOf(one)).toBe(epoch);
  state.newest = { one: measurement(2, 'v2') };
  await followed.refresh();
  expect(followed.epochOf(one)).not.toBe(epoch);
});
