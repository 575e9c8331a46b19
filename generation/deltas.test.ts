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
