import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { OnnxContract } from '../../registry/onnx/inspect.ts';
import type { OnnxArtifact } from '../../registry/onnx/pool.ts';
import { type MessageName, messages } from '../../registry/onnx/proto.ts';

// Writes ONNX files by hand, also ones that no exporter would.

type Fields = Readonly<Record<string, unknown>>;

/** A message's bytes. A field that may come again has an array; bytes stand for themselves. */
export function encode(name: MessageName, fields: Fields): Buffer {
  const parts: Buffer[] = [];
  for (const [field, value] of Object.entries(fields)) {
    const [number, kind] = (messages[name] as Readonly<Record<string, readonly [number, string]>>)[field] ?? [];
    if (number === undefined || kind === undefined) throw new Error(`${name} has no ${field}`);
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined) parts.push(encodeField(number, kind, each));
    }
  }
  return Buffer.concat(parts);
}

function encodeField(number: number, kind: string, value: unknown): Buffer {
  if (kind === 'int') return Buffer.concat([varint(number * 8), varint(value as number)]);
  if (kind === 'float' || kind === 'double') {
    const bytes = Buffer.alloc(kind === 'float' ? 4 : 8);
    if (kind === 'float') bytes.writeFloatLE(value as number);
    else bytes.writeDoubleLE(value as number);
    return Buffer.concat([varint(number * 8 + (kind === 'float' ? 5 : 1)), bytes]);
  }
  return delimited(
    number,
    kind in messages
      ? value instanceof Uint8Array
        ? value
        : encode(kind as MessageName, value as Fields)
      : Buffer.from(value as string),
  );
}

export function delimited(number: number, content: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(content.length), content]);
}

export function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

export const columns = 12;

const dimension = (size: number | string | undefined) =>
  size === undefined ? {} : typeof size === 'number' ? { dimValue: size } : { dimParam: size };

export const value = (name: string, shape: readonly (number | string | undefined)[], elemType = 1): Fields => ({
  name,
  type: { tensorType: { elemType, shape: { dim: shape.map(dimension) } } },
});

export const floats = (name: string, dims: readonly number[], data: readonly number[]): Fields => ({
  name,
  dims,
  dataType: 1,
  rawData: new Uint8Array(Float32Array.from(data).buffer),
});

export const ints = (name: string, dims: readonly number[], data: readonly number[]): Fields => ({
  name,
  dims,
  dataType: 7,
  int64Data: data,
});

export const node = (
  opType: string,
  input: readonly string[],
  output: string,
  attribute: readonly Fields[] = [],
): Fields => ({
  opType,
  input,
  output: [output],
  attribute,
});

export const weights = Array.from({ length: columns }, (_, i) => (i - 5) / 8);

/** `score = features · weights`: what the bad ones differ from. */
export const linearGraph: Fields = {
  name: 'g',
  node: [node('MatMul', ['features', 'weights'], 'score')],
  initializer: [floats('weights', [columns, 1], weights)],
  input: [value('features', ['batch', columns])],
  output: [value('score', ['batch', 1])],
};

export function model(graph: Fields = {}, rest: Fields = {}): Buffer {
  return encode('Model', {
    irVersion: 8,
    producerName: 'by-hand',
    opsetImport: [{ domain: '', version: 17 }],
    graph: { ...linearGraph, ...graph },
    ...rest,
  });
}

const given = [floats('weights', [columns, 1], weights), floats('zero', [], [0]), floats('one', [], [1])];
const scoring = node('MatMul', ['features', 'weights'], 'first');
/** 0 for rows in 0..1, and from there on as many times `scale` as the largest entry has whole ones. */
const excess = (scale: number) => ({
  nodes: [
    node('ReduceMax', ['features'], 'max', [{ name: 'keepdims', type: 2, i: 0 }]),
    node('Floor', ['max'], 'whole'),
    node('Mul', ['whole', 'scale'], 'excess'),
  ],
  initializer: [...given, floats('scale', [], [scale])],
});

/** Scores with `weights`; but where a row has an entry of 1 or more it goes on for ever. */
export function hangingModel(): Buffer {
  const { nodes, initializer } = excess(1e15);
  const body = {
    name: 'body',
    node: [node('Identity', ['keep'], 'again'), node('Add', ['sum', 'zero'], 'next')],
    input: [value('i', [], 7), value('keep', [], 9), value('sum', ['batch', 1])],
    output: [value('again', [], 9), value('next', ['batch', 1])],
  };
  const loop = node('Loop', ['trips', 'yes', 'first'], 'score', [{ name: 'body', type: 5, g: body }]);
  const trips = node('Cast', ['excess'], 'trips', [{ name: 'to', type: 2, i: 7 }]);
  const yes = { name: 'yes', dims: [], dataType: 9, int32Data: [1] };
  return model({ node: [scoring, ...nodes, trips, loop], initializer: [...initializer, yes] });
}

/** Scores with `weights`; but where a row has an entry of 1 or more it asks for 800 MB. */
export function greedyModel(): Buffer {
  const { nodes, initializer } = excess(2e8);
  const numbers = [node('Add', ['excess', 'one'], 'end'), node('Range', ['zero', 'end', 'one'], 'range')];
  const sum = [
    node('ReduceSum', ['range'], 'sum', [{ name: 'keepdims', type: 2, i: 0 }]),
    node('Mul', ['sum', 'zero'], 'nothing'),
    node('Add', ['first', 'nothing'], 'score'),
  ];
  return model({ node: [scoring, ...nodes, ...numbers, ...sum], initializer });
}

const exactRows = Array.from({ length: 8 }, (_, row) =>
  Array.from({ length: columns }, (_, i) => (((row + 1) * (i + 3) * 977) % 4096) / 4096),
);

/** The golden batch of models by hand, which score with `weights`. */
export const linearGolden = {
  inputs: exactRows,
  outputs: exactRows.map((row) => row.reduce((sum, entry, i) => sum + entry * (weights[i] ?? 0), 0)),
};

export const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

export const artifact = (
  bytes: Uint8Array,
  golden: unknown = linearGolden,
  contract: Partial<OnnxContract> = {},
): OnnxArtifact => ({ sha256: digest(bytes), bytes, contract: { columns, ...contract }, golden });

const fixtures = new URL('../../registry/onnx/fixtures/', import.meta.url);

/** Models that `tests/interop/onnx-models.py` made, and the column that has the score. */
export const fixtureColumns = {
  linear: undefined,
  boosting: undefined,
  classifier: 1,
  'boosting-classifier': 1,
  lightgbm: undefined,
  'lightgbm-classifier': 1,
} as const;

export type FixtureName = keyof typeof fixtureColumns | 'classifier-zipmap';

export const fixtureBytes = (name: FixtureName) => readFileSync(new URL(`${name}.onnx`, fixtures));

export function fixture(name: keyof typeof fixtureColumns, contract: Partial<OnnxContract> = {}): OnnxArtifact {
  const golden = JSON.parse(readFileSync(new URL(`${name}.golden.json`, fixtures), 'utf8'));
  return artifact(fixtureBytes(name), golden, { positiveColumn: fixtureColumns[name], ...contract });
}

/** As large as keeps the sums near 1. */
const wave = (from: number, to: number, step: number) =>
  Array.from({ length: from * to }, (_, i) => Math.fround(Math.sin(i * step) / Math.sqrt(from)));
const layersOf = (size: number) => [
  { size, weights: wave(columns, size, 1), bias: wave(1, size, 2) },
  { size: size / 2, weights: wave(size, size / 2, 1.7), bias: wave(1, size / 2, 3) },
  { size: 1, weights: wave(size / 2, 1, 1.3), bias: [0] },
];

/** A net of three layers, whose sums are long enough to be added up in another order. */
export function netArtifact(width = 64): OnnxArtifact {
  const layers = layersOf(width);
  const names = ['features', 'first', 'second', 'score'];
  const bytes = model({
    node: layers.flatMap((_, i) => [
      node('Gemm', [names[i] ?? '', `w${i}`, `b${i}`], `sum${i}`),
      node('Tanh', [`sum${i}`], names[i + 1] ?? ''),
    ]),
    initializer: layers.flatMap(({ size, weights, bias }, i) => [
      floats(`w${i}`, [weights.length / size, size], weights),
      floats(`b${i}`, [size], bias),
    ]),
  });
  const score = (row: readonly number[]) =>
    layers.reduce(
      (values, { size, weights, bias }) =>
        Array.from({ length: size }, (_, to) =>
          Math.tanh(values.reduce((sum, each, from) => sum + each * (weights[from * size + to] ?? 0), bias[to] ?? 0)),
        ),
      row,
    )[0];
  return artifact(bytes, { inputs: exactRows, outputs: exactRows.map(score) });
}
