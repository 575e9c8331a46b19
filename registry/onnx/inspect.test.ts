import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { badModels } from '../../tests/_util/bad-onnx.ts';
import {
  columns,
  encode,
  fixture,
  fixtureBytes,
  fixtureColumns,
  floats,
  linearGraph,
  model,
  node,
  value,
  weights,
} from '../../tests/_util/onnx.ts';
import { inspectModel } from './inspect.ts';

const inspect = (bytes: Uint8Array, contract = {}) => inspectModel(bytes, { columns, ...contract });

describe('a model', () => {
  it.each([
    ['linear', 'variable', 1, 'skl2onnx 1.20.0'],
    ['boosting', 'variable', 1, 'skl2onnx 1.20.0'],
    ['classifier', 'probabilities', 2, 'skl2onnx 1.20.0'],
    ['boosting-classifier', 'probabilities', 2, 'skl2onnx 1.20.0'],
    ['lightgbm', 'variable', 1, 'OnnxMLTools 1.16.0'],
    ['lightgbm-classifier', 'probabilities', 2, 'OnnxMLTools 1.16.0'],
  ] as const)('of a real exporter (%s) is taken as it is', (name, output, width, producer) => {
    const { bytes, contract } = fixture(name);
    expect(inspect(bytes, contract)).toMatchObject({
      kind: 'model',
      model: {
        inputs: [{ name: 'features', type: 'float', shape: [undefined, columns] }],
        opsets: { 'ai.onnx.ml': 1 },
        producer,
        bytes: bytes.length,
        score: { input: 'features', output, columns, width, column: fixtureColumns[name] ?? 0 },
      },
    });
  });

  it.each([
    ['a score [batch]', model({ output: [value('score', ['n'])] }), {}],
    [
      'an initialiser among its inputs',
      model({ input: [value('features', ['n', columns]), value('weights', [columns, 1])] }),
      {},
    ],
    [
      'a label of strings beside its score',
      model({ output: [value('label', ['n'], 8), value('score', ['n', 1])] }),
      {},
    ],
    [
      'two floats, one of them named',
      model({ output: [value('score', ['n', 1]), value('features', ['n', columns])] }),
      { output: 'score' },
    ],
    ['an open batch without a name', model({ input: [value('features', [undefined, columns])] }), {}],
    ['ai.onnx by its name', model({}, { opsetImport: [{ domain: 'ai.onnx', version: 17 }] }), {}],
    [
      'NaN for what is missing',
      model({
        node: [
          node('Imputer', ['features'], 'f', [{ name: 'replaced_value_float', type: 1, f: Number.NaN }]),
          ...(linearGraph.node as []),
        ],
      }),
      {},
    ],
    ['a field that came after us', Buffer.concat([model(), Buffer.from([0x98, 6, 1])]), {}],
    [
      'a tensor in a list of floats',
      model({ initializer: [{ ...floats('weights', [columns, 1], weights), rawData: undefined, floatData: weights }] }),
      {},
    ],
  ])('with %s is taken', (_, bytes, contract) => {
    expect(inspect(bytes, contract)).toMatchObject({ kind: 'model', model: { score: { output: 'score', width: 1 } } });
  });

  it('may have its lists packed or not', () => {
    const packed = Buffer.from(Float32Array.from(weights).buffer);
    const tensor = encode('Tensor', { name: 'weights', dims: [columns, 1], dataType: 1 });
    const bytes = Buffer.concat([tensor, Buffer.from([0x22, packed.length]), packed]);
    expect(inspect(model({ initializer: [bytes] }))).toMatchObject({ kind: 'model' });
  });
});

describe('a bad model', () => {
  it('has a table', () => expect(badModels.length).toBeGreaterThan(40));

  it.each(badModels.map(([name, bytes, reason, message, contract]) => ({ name, bytes, reason, message, contract })))(
    'that is $name is refused with its reason',
    ({ bytes, reason, message, contract }) => {
      const inspection = inspect(bytes, contract);
      expect(inspection).toMatchObject({ kind: 'refused', reason });
      if (inspection.kind !== 'refused') return;
      expect(`${inspection.field}: ${inspection.message}`).toMatch(message);
      expect(inspection.message).toMatch(/^\S.{10,400}$/); // one line, and not without end
    },
  );

  it('cannot write its own text into what is said', () => {
    const name = `x\n\u001b[31m\u202e\u2028${'y'.repeat(5000)}`;
    const inspection = inspect(model({ output: [value(name, ['n', 3])] }));
    expect(inspection).toMatchObject({ kind: 'refused', reason: 'OUTPUT_SHAPE' });
    expect(JSON.stringify(inspection).length).toBeLessThan(500);
    if (inspection.kind === 'refused') expect(inspection.field).toMatch(/^[ -~…]+$/);
  });
});

describe('any bytes', () => {
  const isAnswer = (bytes: Uint8Array) => {
    const inspection = inspect(bytes, { positiveColumn: 1 });
    if (inspection.kind === 'refused') expect(inspection.field).not.toBe('');
    return inspection;
  };

  it('are a model or refused, never an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void isAnswer(bytes)),
      { numRuns: 2_000 },
    );
  });

  it('of a good model, changed anywhere, are a model or refused, never an error', () => {
    const good = fixtureBytes('classifier');
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = Buffer.from(good);
        for (const [at, byte] of changes) bytes[at] = byte;
        isAnswer(bytes);
      }),
      { numRuns: 5_000 },
    );
  });

  it('of a good model, cut anywhere, are refused', () => {
    const good = fixtureBytes('classifier');
    // its last two fields, of 6 bytes each, name a set of operators of which it has none: without them it is the same
    for (let length = 0; length < good.length - 12; length++) {
      expect(isAnswer(good.subarray(0, length)).kind, `${length} bytes`).toBe('refused');
    }
  });
});
