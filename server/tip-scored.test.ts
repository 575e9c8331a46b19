import { create } from '@bufbuild/protobuf';
import { expect, it } from 'vitest';
import { decide } from '../experiments/decide.ts';
import { random } from '../experiments/policies/random.ts';
import { nothingLearnt } from '../experiments/statistics.ts';
import { treat } from '../experiments/treatment.ts';
import { readMoment } from '../features/moment.ts';
import { ScoreRequestSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { toTipScored } from './tip-scored.ts';

const requestId = '0190a5d2-7b1c-7cc0-8a5e-2f1f6a5b3c1d';
const learnt = { person: nothingLearnt, population: nothingLearnt };
const noExperiments = { version: '', experiments: [], holdouts: [] };
const scored = {
  request: create(ScoreRequestSchema, { requestId, userId: 'u', candidates: [{ id: 'a' }] }),
  requestHash: new Uint8Array(32),
  vectors: [[1]],
  decision: decide(random, [[1]], requestId, learnt),
  learnt,
  treatment: treat(noExperiments, 'u', 0),
  populationId: '',
  moment: readMoment(undefined, 0),
  readings: [],
  snapshot: '9:9:',
  isFeastUnavailable: false,
};

it.each([
  ['not measured', undefined, 0],
  ['no time at all', 0, 1],
  ['less than a microsecond', 0.0001, 1],
  ['a microsecond', 0.001, 1],
  ['a little more', 0.0011, 2],
  ['a second', 1_000, 1_000_000],
  ['longer than the contract can say', 1e9, 2 ** 31 - 1],
])('a decision that took %s', (_, elapsedMs, elapsedMicros) => {
  const logged = toTipScored({ ...scored, ...(elapsedMs !== undefined && { elapsedMs }) });
  expect(logged.elapsedMicros).toBe(elapsedMicros);
});
