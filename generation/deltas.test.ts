import { create } from '@bufbuild/protobuf';
import { expect, it } from 'vitest';
import { EnvelopeSchema } from '../gen/proto/oo/events/v1/envelope_pb.ts';
import { TipKind } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { generationDeltas } from './deltas.ts';

it('of two tips with one id in one event, the first is written', () => {
  const tips = [
    { tipId: 'a', kind: TipKind.TASK },
    { tipId: 'b', kind: TipKind.ADVICE },
    { tipId: 'a', kind: TipKind.INSIGHT },
  ];
  const event = create(EnvelopeSchema, { payload: { case: 'tipGenerated', value: { tips } } });
  expect(generationDeltas(event).map(({ row }) => row)).toMatchObject([
    { tip_id: 'a', tip_kind: 'task' },
    { tip_id: 'b', tip_kind: 'advice' },
  ]);
});

it('tips say in which arms they were written, and by which measurement a bandit drew one, also by that of nothing', () => {
  const own = { experiment: 'e', version: '1', arm: 'a' };
  const rowOf = (...experiments: readonly object[]) => {
    const value = { tips: [{ tipId: 'a', kind: TipKind.TASK }], experiments: [...experiments] };
    return generationDeltas(create(EnvelopeSchema, { payload: { case: 'tipGenerated', value } }))[0]?.row;
  };
  const drawn = (measurement: number) => ({ experiment: 'f', version: '2', arm: 'b', bandit: { measurement } });
  expect(rowOf()).toMatchObject({ experiments: [], experiment_versions: [], experiment_arms: [], measurement: null });
  expect(rowOf(own)).toMatchObject({ experiments: ['e'], measurement: null });
  expect(rowOf(own, drawn(0))).toMatchObject({ measurement: 0 });
  expect(rowOf(own, drawn(7))).toMatchObject({
    ...{ experiments: ['e', 'f'], experiment_versions: ['1', '2'], experiment_arms: ['a', 'b'], measurement: 7 },
  });
});
