import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { run } from '../../platform/embedded/process.ts';
import { createOnnxPool, type Predictor } from '../../registry/onnx/pool.ts';
import { type MessageName, messages } from '../../registry/onnx/proto.ts';
import { artifact, fixture, type fixtureColumns, fixtureColumns as scoreColumns } from '../_util/onnx.ts';
import { newFolder } from '../_util/servers.ts';

const python = join(inject('onnx'), 'python');
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const folder = newFolder('onnx');
const names = Object.keys(scoreColumns) as (keyof typeof fixtureColumns)[];

const pool = createOnnxPool();
afterAll(() => pool.close());

/** A model as it was exported just now. */
function exported(name: keyof typeof fixtureColumns) {
  const golden = JSON.parse(readFileSync(join(folder, `${name}.golden.json`), 'utf8')) as {
    readonly inputs: number[][];
    readonly outputs: number[];
  };
  return artifact(readFileSync(join(folder, `${name}.onnx`)), golden, { positiveColumn: scoreColumns[name] });
}

describe('a model that scikit-learn or LightGBM exports today', () => {
  beforeAll(() => run(python, [script('onnx-models.py'), folder], { timeoutMs: 120_000 }));

  it.each(names)('(%s) passes all checks, and scores as the one that is kept', async (name) => {
    const [now, kept] = await Promise.all([pool.load(exported(name)), pool.load(fixture(name))]);
    const { inputs } = fixture(name).golden as { readonly inputs: number[][] };
    const scoresOf = (predictor: Predictor) => predictor.predict(inputs, { timeoutMs: 20_000 });
    const [scores, before] = await Promise.all([scoresOf(now), scoresOf(kept)]);
    for (const [i, score] of scores.entries()) expect(score).toBeCloseTo(before[i] ?? Number.NaN, 5);
    await Promise.all([now.release(), kept.release()]);
  });

  it('with the converter’s default for classifiers is refused, with what to do', async () => {
    const bytes = readFileSync(join(folder, 'classifier-zipmap.onnx'));
    await expect(pool.load(artifact(bytes, null, { positiveColumn: 1 }))).rejects.toThrow('convert with zipmap=False');
  });
});

describe('our table of messages', () => {
  it('is that of the onnx package: what the runtime would find in a file is found here too', async () => {
    const real: Record<string, Record<string, readonly [kind: string, isMany: boolean]>> = JSON.parse(
      await run(python, [script('onnx-messages.py')], { timeoutMs: 60_000 }),
    );
    const nameOf: Readonly<Record<MessageName, string>> = {
      Model: 'ModelProto',
      OperatorSet: 'OperatorSetIdProto',
      Graph: 'GraphProto',
      Node: 'NodeProto',
      Attribute: 'AttributeProto',
      Tensor: 'TensorProto',
      SparseTensor: 'SparseTensorProto',
      Entry: 'StringStringEntryProto',
      ValueInfo: 'ValueInfoProto',
      Type: 'TypeProto',
      TensorType: 'TypeProto.Tensor',
      Shape: 'TensorShapeProto',
      Dimension: 'TensorShapeProto.Dimension',
    };
    for (const [name, fields] of Object.entries(messages)) {
      const ours = Object.values(fields).map(([number, kind, many]): [string, unknown] => [
        String(number),
        [kind in messages ? 'message' : kind, many !== undefined],
      ]);
      const theirs = Object.entries(real[`onnx.${nameOf[name as MessageName]}`] ?? {});
      // what is not looked into may be kept as bytes, and bytes as they are
      const unread = (number: string) =>
        ours
          .find(([each]) => each === number)?.[1]
          ?.toString()
          .startsWith('bytes');
      const comparable = theirs.map(([number, [kind, isMany]]): [string, unknown] => [
        number,
        [unread(number) && (kind === 'message' || kind === 'string') ? 'bytes' : kind, isMany],
      ]);
      expect(Object.fromEntries(ours), name).toEqual(Object.fromEntries(comparable));
    }
  });
});
