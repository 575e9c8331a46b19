import { deflateRawSync, gzipSync } from 'node:zlib';
import type { OnnxContract } from '../../registry/onnx/inspect.ts';
import type { RefusalReason } from '../../registry/onnx/refusal.ts';
import {
  columns,
  encode,
  fixtureBytes,
  floats,
  ints,
  linearGraph,
  model,
  node,
  value,
  varint,
  weights,
} from './onnx.ts';

/** A file that no one should be served by, why, and a part of what its sender is told. */
export type BadModel = readonly [
  name: string,
  bytes: Uint8Array,
  reason: RefusalReason,
  message: RegExp,
  contract?: Partial<OnnxContract>,
];

const good = model();
const own = { name: 'weights', dims: [columns, 1], dataType: 1 };
const withTensor = (tensor: object) => model({ initializer: [tensor] });
const withOutput = (...output: unknown[]) => model({ output });
const withInput = (...input: unknown[]) => model({ input });
const withNode = (...extra: unknown[]) => model({ node: [...(linearGraph.node as unknown[]), ...extra] });
const raw = (numbers: readonly number[]) => new Uint8Array(Float32Array.from(numbers).buffer);
const nan = weights.map((weight, i) => (i === 3 ? Number.NaN : weight));
const infinite = weights.map((weight, i) => (i === 3 ? -Infinity : weight));
const external = (location: string) =>
  withTensor({ ...own, dataLocation: 1, externalData: [{ key: 'location', value: location }] });
const constant = (tensor: object) => node('Constant', [], 'c', [{ name: 'value', type: 4, t: tensor }]);
/** A tensor type that is none, by the bytes of what it holds. */
const ofType = (kind: string, content: Uint8Array = new Uint8Array()) => ({ name: 'score', type: { [kind]: content } });

/** Graphs in graphs. */
function deep(levels: number): Uint8Array {
  let graph: object = { name: 'g' };
  for (let i = 0; i < levels; i++)
    graph = { node: [node('If', ['c'], 'o', [{ name: 'then_branch', type: 5, g: encode('Graph', graph as never) }])] };
  return encode('Model', { irVersion: 8, opsetImport: [{ domain: '', version: 17 }], graph });
}

/** A real archive of one file, which is a good deal larger unpacked. */
function zip(name: string, content: Buffer): Buffer {
  const packed = deflateRawSync(content, { level: 9 });
  const header = Buffer.alloc(26);
  header.writeUInt16LE(20, 0);
  header.writeUInt16LE(8, 4);
  header.writeUInt32LE(packed.length, 14);
  header.writeUInt32LE(content.length, 18);
  header.writeUInt16LE(name.length, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), header, Buffer.from(name), packed]);
  const central = Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), header, Buffer.alloc(14), Buffer.from(name)]);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(1, 4);
  end.writeUInt16LE(1, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(local.length, 12);
  return Buffer.concat([local, central, Buffer.from('PK\x05\x06'), end]);
}

const files: readonly BadModel[] = [
  ['an empty file', Buffer.alloc(0), 'NOT_ONNX', /the file is empty: export one/],
  ['text', Buffer.from('hello, this is my model'), 'NOT_ONNX', /no ONNX model/],
  ['a pickle', Buffer.from([0x80, 4, 0x95, 1, 2, 3]), 'NOT_ONNX', /a Python pickle/],
  ["LightGBM's own file", Buffer.from('tree\nversion=v4\n'), 'NOT_ONNX', /LightGBM's own text/],
  ['JSON', Buffer.from('{"a":1}'), 'NOT_ONNX', /this is JSON/],
  ['a page', Buffer.from('<!doctype html>'), 'NOT_ONNX', /this is HTML/],
  ['a pointer of Git LFS', Buffer.from('version https://git-lfs.example/spec/v1\n'), 'NOT_ONNX', /Git LFS/],
  ['a gzip bomb', gzipSync(Buffer.alloc(50_000_000)), 'COMPRESSED', /this is gzip: unpack it first/],
  ['a zip bomb', zip('model.onnx', Buffer.alloc(50_000_000)), 'COMPRESSED', /this is zip: unpack it first/],
  ['a good model in gzip', gzipSync(good), 'COMPRESSED', /this is gzip: unpack it first/],
  ['a good model in zip', zip('model.onnx', good), 'COMPRESSED', /this is zip: unpack it first/],
  ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0]), 'COMPRESSED', /this is zstd/],
  ['zeros', Buffer.alloc(1000), 'NOT_ONNX', /protobuf does not write/],
  ['one byte', Buffer.from([8]), 'TRUNCATED', /cut off/],
  ['a model without its end', good.subarray(0, -20), 'TRUNCATED', /cut off or no ONNX, send it again/],
  ['half a model of LightGBM', fixtureBytes('lightgbm').subarray(0, 6000), 'TRUNCATED', /cut off/],
  ['a model twice, one after the other', Buffer.concat([good, good]), 'NOT_ONNX', /there twice/],
  [
    'a model with two graphs',
    Buffer.concat([good, encode('Model', { graph: linearGraph })]),
    'NOT_ONNX',
    /graph is there twice/,
  ],
  ['a file of 17 MiB', Buffer.alloc(17 * 2 ** 20, 8), 'TOO_LARGE', /17825792 bytes, 16777216 are allowed/],
  [
    'millions of empty nodes',
    encode('Model', { graph: Buffer.alloc(10_000_000, Buffer.from([0x0a, 0])) }),
    'TOO_COMPLEX',
    /more than 50000 messages/,
  ],
  ['graphs in graphs', deep(40), 'TOO_COMPLEX', /messages are more than 64 deep/],
  ['no graph', encode('Model', { irVersion: 8 }), 'NOT_ONNX', /it has no graph/],
  ['no version', encode('Model', { graph: linearGraph }), 'NOT_ONNX', /it has no ir_version/],
  ['a number of 11 bytes', Buffer.from([8, ...Array(11).fill(0x80)]), 'NOT_ONNX', /more than 64 bits/],
  ['a number of 66 bits', Buffer.from([8, ...Array(9).fill(0xff), 3]), 'NOT_ONNX', /more than 64 bits/],
  ['a name that is no UTF-8', encode('Model', { producerName: 'x' }).fill(0xff, 2), 'NOT_ONNX', /not UTF-8/],
  [
    'a length beyond the end',
    Buffer.concat([Buffer.from([0x3a]), varint(2 ** 40)]),
    'TRUNCATED',
    /bytes, and \d+ are left/,
  ],
  ['a negative length', Buffer.concat([Buffer.from([0x3a]), varint(-1)]), 'TRUNCATED', /bytes, and \d+ are left/],
  ['a field of another wire type', Buffer.from([0x3d, 0, 0, 0, 0]), 'NOT_ONNX', /graph has the wrong wire type/],
  ['functions', model({}, { functions: [new Uint8Array()] }), 'UNSUPPORTED', /inline_local_functions/],
  ['training', model({}, { trainingInfo: [new Uint8Array()] }), 'UNSUPPORTED', /export for inference/],
  ['devices', model({}, { configuration: [new Uint8Array()] }), 'UNSUPPORTED', /^configuration: .*no devices/],
];

const tensors: readonly BadModel[] = [
  ['data in another file', external('weights.bin'), 'EXTERNAL_DATA', /save_as_external_data=False/],
  ['data in a file of ours', external('../../../../etc/passwd'), 'EXTERNAL_DATA', /initializer\[0\] \("weights"\)/],
  ['data at an absolute path', external('/proc/self/environ'), 'EXTERNAL_DATA', /another file/],
  [
    'a place of data and no location',
    withTensor({ ...own, rawData: raw(weights), dataLocation: 2 ** 32 + 1 }),
    'EXTERNAL_DATA',
    /another file/,
  ],
  [
    'a location and no place',
    withTensor({ ...own, rawData: raw(weights), externalData: [{ key: 'location', value: 'x' }] }),
    'EXTERNAL_DATA',
    /another file/,
  ],
  [
    'a constant in another file',
    withNode(constant({ ...own, dataLocation: 1 })),
    'EXTERNAL_DATA',
    /node\[1\].attribute\[0\] \("value"\)/,
  ],
  [
    'a constant of a branch in another file',
    withNode(
      node('If', ['c'], 'o', [{ name: 'then_branch', type: 5, g: { node: [constant({ ...own, dataLocation: 1 })] } }]),
    ),
    'EXTERNAL_DATA',
    /then_branch/,
  ],
  ['NaN among the weights', withTensor(floats('weights', [columns, 1], nan)), 'NOT_FINITE', /NaN or infinity/],
  ['infinity among the weights', withTensor({ ...own, floatData: infinite }), 'NOT_FINITE', /"weights"/],
  [
    'NaN in double',
    withNode(constant({ name: 'd', dims: [1], dataType: 11, doubleData: [Number.NaN] })),
    'NOT_FINITE',
    /"d"/,
  ],
  [
    'infinity in raw double',
    withNode(
      constant({ name: 'd', dims: [1], dataType: 11, rawData: new Uint8Array(Float64Array.of(Infinity).buffer) }),
    ),
    'NOT_FINITE',
    /"d"/,
  ],
  [
    'NaN in float16',
    withNode(constant({ name: 'h', dims: [1], dataType: 10, rawData: Buffer.from([0, 0x7e]) })),
    'NOT_FINITE',
    /"h"/,
  ],
  [
    'infinity in bfloat16',
    withNode(constant({ name: 'h', dims: [1], dataType: 16, int32Data: [0xff80] })),
    'NOT_FINITE',
    /"h"/,
  ],
  [
    'NaN among coefficients',
    withNode(node('LinearRegressor', ['features'], 'l', [{ name: 'coefficients', type: 6, floats: nan }])),
    'NOT_FINITE',
    /"coefficients"/,
  ],
  [
    'an infinite intercept',
    withNode(node('Elu', ['features'], 'l', [{ name: 'alpha', type: 1, f: Infinity }])),
    'NOT_FINITE',
    /"alpha"/,
  ],
  [
    'less data than its shape',
    withTensor({ ...own, rawData: raw(weights.slice(1)) }),
    'TENSOR_INVALID',
    /12 entries and its data 11/,
  ],
  [
    'more data than its shape',
    withTensor({ ...own, floatData: [...weights, 1] }),
    'TENSOR_INVALID',
    /12 entries and its data 13/,
  ],
  [
    'data of two kinds',
    withTensor({ ...own, floatData: weights, rawData: raw(weights) }),
    'TENSOR_INVALID',
    /export it anew/,
  ],
  ['raw strings', withTensor({ ...own, dataType: 8, rawData: raw(weights) }), 'TENSOR_INVALID', /export it anew/],
  ['a type nobody knows', withTensor({ ...own, dataType: 99 }), 'UNSUPPORTED', /type 99/],
  ['complex numbers', withTensor({ ...own, dataType: 14 }), 'UNSUPPORTED', /type 14/],
  [
    'a segment',
    withTensor({ ...own, segment: new Uint8Array(), rawData: raw(weights) }),
    'UNSUPPORTED',
    /in one piece/,
  ],
  ['a sparse tensor', model({ sparseInitializer: [{ dims: [2 ** 40] }] }), 'UNSUPPORTED', /sparse/],
  [
    'a sparse constant',
    withNode(node('Constant', [], 'c', [{ name: 'sparse_value', type: 11, sparseTensor: { dims: [2 ** 40] } }])),
    'UNSUPPORTED',
    /sparse/,
  ],
  ['a shape of 2^40 and no data', withTensor({ ...own, dims: [2 ** 40] }), 'TENSOR_TOO_LARGE', /4194304 entries/],
  [
    'a shape whose product overflows',
    withTensor({ ...own, dims: Array(8).fill(65_536) }),
    'TENSOR_TOO_LARGE',
    /make it smaller/,
  ],
  ['a negative shape', withTensor({ ...own, dims: [-(2 ** 40)] }), 'TENSOR_TOO_LARGE', /make it smaller/],
  ['a shape of 0 × 2^40', withTensor({ ...own, dims: [0, 2 ** 40] }), 'TENSOR_TOO_LARGE', /make it smaller/],
  [
    'a huge ConstantOfShape',
    model({
      node: [...(linearGraph.node as []), node('ConstantOfShape', ['s'], 'c')],
      initializer: [floats('weights', [columns, 1], weights), ints('s', [2], [1e6, 1e6])],
    }),
    'TENSOR_TOO_LARGE',
    /node\[1\] \(ConstantOfShape\)/,
  ],
  [
    'a huge Expand of a raw shape',
    model({
      node: [...(linearGraph.node as []), node('Expand', ['score', 's'], 'c')],
      initializer: [
        floats('weights', [columns, 1], weights),
        { name: 's', dims: [2], dataType: 7, rawData: new Uint8Array(BigInt64Array.of(1_000_000n, 1_000_000n).buffer) },
      ],
    }),
    'TENSOR_TOO_LARGE',
    /\(Expand\)/,
  ],
  [
    'a huge Tile by a constant',
    withNode(constant(ints('', [2], [1e9, 1])), node('Tile', ['score', 'c'], 't')),
    'TENSOR_TOO_LARGE',
    /\(Tile\)/,
  ],
];

const interfaces: readonly BadModel[] = [
  [
    'operators of its own',
    withNode({ ...node('Magic', ['score'], 'm'), domain: 'my.ops' }),
    'OPERATOR_UNKNOWN',
    /node\[1\].domain: operators of "my.ops"/,
  ],
  [
    "operators of the runtime's own",
    model({}, { opsetImport: [{ domain: 'com.microsoft', version: 1 }] }),
    'OPERATOR_UNKNOWN',
    /"com.microsoft"/,
  ],
  [
    'operators of its own in a branch',
    withNode(node('If', ['c'], 'o', [{ name: 'else_branch', type: 5, g: { node: [{ opType: 'X', domain: 'x' }] } }])),
    'OPERATOR_UNKNOWN',
    /else_branch/,
  ],
  [
    'operators of no version',
    model({}, { opsetImport: [{ domain: 'ai.onnx.ml', version: 1 }] }),
    'OPERATOR_UNKNOWN',
    /no version for ai.onnx/,
  ],
  [
    'noise',
    withNode(node('RandomNormalLike', ['score'], 'n')),
    'NOT_DETERMINISTIC',
    /RandomNormalLike draws at random/,
  ],
  ['no input', withInput(), 'INPUT_COUNT', /it has 0 inputs/],
  [
    'an input for each feature',
    withInput(value('a', ['n', 1]), value('b', ['n', 1])),
    'INPUT_COUNT',
    /into one tensor/,
  ],
  [
    'an input of strings',
    withInput(value('features', ['n', columns], 8)),
    'INPUT_TYPE',
    /of string, .*FloatTensorType\(\[None, 12\]\)/,
  ],
  ['an input of whole numbers', withInput(value('features', ['n', columns], 7)), 'INPUT_TYPE', /of int64/],
  ['an input of double', withInput(value('features', ['n', columns], 11)), 'INPUT_TYPE', /of double/],
  [
    'an input that is a sequence',
    withInput({ name: 'features', type: { sequenceType: new Uint8Array() } }),
    'INPUT_TYPE',
    /of sequence/,
  ],
  ['an input of no type', withInput({ name: 'features' }), 'INPUT_TYPE', /type 0/],
  ['an input of fewer columns', withInput(value('features', ['n', 11])), 'INPUT_SHAPE', /shape \[any,11\]/],
  ['an input of open columns', withInput(value('features', ['n', 'm'])), 'INPUT_SHAPE', /shape \[any,any\]/],
  ['an input of one dimension', withInput(value('features', [columns])), 'INPUT_SHAPE', /shape \[12\]/],
  ['an input of a fixed batch', withInput(value('features', [1, columns])), 'INPUT_SHAPE', /leave the batch open/],
  [
    'an input of no shape',
    withInput({ name: 'features', type: { tensorType: { elemType: 1 } } }),
    'INPUT_SHAPE',
    /no shape/,
  ],
  [
    'the converter’s ZipMap',
    fixtureBytes('classifier-zipmap'),
    'OUTPUT_NOT_TENSOR',
    /"output_probability".*sequence.*zipmap=False/,
    { positiveColumn: 1 },
  ],
  ['a map', withOutput(ofType('mapType')), 'OUTPUT_NOT_TENSOR', /map, no tensor: convert with zipmap=False/],
  [
    'a sequence beside a score',
    withOutput(value('score', ['n', 1]), { ...ofType('sequenceType'), name: 'z' }),
    'OUTPUT_NOT_TENSOR',
    /"z".*zipmap=False/,
  ],
  ['an optional', withOutput(ofType('optionalType')), 'OUTPUT_NOT_TENSOR', /optional/],
  ['a sparse output', withOutput(ofType('sparseTensorType')), 'OUTPUT_NOT_TENSOR', /sparse tensor/],
  ['no output', withOutput(), 'OUTPUT_MISSING', /it has no output/],
  [
    'an output that was asked for and is not there',
    good,
    'OUTPUT_MISSING',
    /no "other" among its outputs, "score"/,
    { output: 'other' },
  ],
  [
    'two scores',
    withOutput(value('score', ['n', 1]), value('features', ['n', columns])),
    'OUTPUT_AMBIGUOUS',
    /2 of its outputs.*"score", "features"/,
  ],
  ['a label alone', withOutput(value('score', ['n'], 7)), 'OUTPUT_TYPE', /of int64/],
  ['a score of double', withOutput(value('score', ['n', 1], 11)), 'OUTPUT_TYPE', /of double.*add a cast/],
  ['three classes', withOutput(value('score', ['n', 3])), 'OUTPUT_SHAPE', /shape \[any,3\]/, { positiveColumn: 1 }],
  ['a score of three dimensions', withOutput(value('score', ['n', 1, 1])), 'OUTPUT_SHAPE', /shape \[any,1,1\]/],
  ['a single score', withOutput(value('score', [])), 'OUTPUT_SHAPE', /shape \[\]/],
  ['a score for one row', withOutput(value('score', [1, 1])), 'OUTPUT_SHAPE', /shape \[1,1\]/],
  [
    'a score of no shape',
    withOutput({ name: 'score', type: { tensorType: { elemType: 1 } } }),
    'OUTPUT_SHAPE',
    /no shape/,
  ],
  [
    'two probabilities, and which is not said',
    fixtureBytes('classifier'),
    'POSITIVE_COLUMN',
    /"probabilities".*say which column/,
  ],
  ['a column of one score', good, 'POSITIVE_COLUMN', /leave the column out/, { positiveColumn: 1 }],
];

/** What is found in the bytes alone. */
export const badModels: readonly BadModel[] = [...files, ...tensors, ...interfaces];
