// What a model is, by its bytes alone. Whoever sends one may be mistaken or mean harm, so the runtime sees it only after
// this. Pure, and bounded in time and memory by the size of the file: nothing is unpacked, fetched or computed.

import { MalformedError, type Message, readMessage } from './proto.ts';
import { quoted, type Refusal, type RefusalReason } from './refusal.ts';

/** What is asked of a model, and told to whoever registers one. */
export interface OnnxContract {
  /** Entries of a row. */
  readonly columns: number;
  /** The output with the score. Needed where a model has several of floating point. */
  readonly output?: string | undefined;
  /** Of an output [batch, 2], the probabilities of two classes: the column of the one that is wished for. */
  readonly positiveColumn?: 0 | 1 | undefined;
}

export interface OnnxLimits {
  readonly maxBytes: number;
  /** Entries of one tensor, given or made by the model from a fixed shape. */
  readonly maxElements: number;
  /** Numbers and texts of all its fields. An ensemble has some ten for each node of a tree. */
  readonly maxValues: number;
  /** Operators, attributes, tensors and the like. An ensemble has fewer than fifty. */
  readonly maxMessages: number;
}

export const onnxLimits: OnnxLimits = {
  maxBytes: 16 * 2 ** 20,
  maxElements: 4 * 2 ** 20,
  maxValues: 5_000_000,
  maxMessages: 50_000,
};

/** The runtime gives up at 100; a tree of conditions, one in another, has three of them each. */
const maxDepth = 64;

/** An input or output: undefined stands for the batch, or for what the model leaves open. */
export interface OnnxValue {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly (number | undefined)[] | undefined;
}

export interface OnnxModel {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Version of each set of operators. */
  readonly opsets: Readonly<Record<string, number>>;
  /** What wrote it, for example `skl2onnx 1.20.0`. */
  readonly producer: string;
  readonly bytes: number;
  /** Where a row goes, and where its score is: in a column of an output that has `width`. */
  readonly score: {
    readonly input: string;
    readonly output: string;
    readonly columns: number;
    readonly width: 1 | 2;
    readonly column: 0 | 1;
  };
}

export type Inspection =
  | { readonly kind: 'model'; readonly model: OnnxModel }
  | ({ readonly kind: 'refused' } & Refusal);

export function inspectModel(bytes: Uint8Array, contract: OnnxContract, limits: OnnxLimits = onnxLimits): Inspection {
  try {
    return { kind: 'model', model: inspect(bytes, contract, limits) };
  } catch (error) {
    if (error instanceof RefusedError) return { kind: 'refused', ...error.refusal };
    if (error instanceof MalformedError) return { kind: 'refused', ...ofMalformed(error) };
    throw error;
  }
}

/** Within this file alone: a refusal ends the inspection wherever it is. */
class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

function refuse(reason: RefusalReason, field: string, message: string): never {
  throw new RefusedError({ reason, field, message });
}

function ofMalformed({ kind, message }: MalformedError): Refusal {
  if (kind === 'complex') {
    return { reason: 'TOO_COMPLEX', field: 'model', message: `${message}: train a smaller model` };
  }
  if (kind === 'truncated') {
    return {
      reason: 'TRUNCATED',
      field: 'model',
      message: `${message}: the file is cut off or no ONNX, send it again`,
    };
  }
  return { reason: 'NOT_ONNX', field: 'model', message: `this is no ONNX model (${message}): ${exportIt}` };
}

const exportIt = 'export one, as docs/models.md says, and send the .onnx file itself';

function inspect(bytes: Uint8Array, contract: OnnxContract, limits: OnnxLimits): OnnxModel {
  if (bytes.length > limits.maxBytes) {
    refuse('TOO_LARGE', 'model', `it has ${bytes.length} bytes, ${limits.maxBytes} are allowed: train a smaller model`);
  }
  refuseLookalikes(bytes);
  const model = readMessage(bytes, 'Model', { ...limits, maxDepth });
  const { graph, irVersion } = model;
  if (graph === undefined || irVersion === undefined) {
    refuse('NOT_ONNX', 'model', `this is no ONNX model, it has no ${graph ? 'ir_version' : 'graph'}: ${exportIt}`);
  }
  if (model.functions.length > 0) {
    refuse(
      'UNSUPPORTED',
      'functions',
      'functions within models are not taken: run onnx.inliner.inline_local_functions',
    );
  }
  if (model.trainingInfo.length > 0 || model.configuration.length > 0) {
    const field = model.trainingInfo.length > 0 ? 'training_info' : 'configuration';
    refuse('UNSUPPORTED', field, 'only what scores is taken, no training and no devices: export for inference');
  }
  const opsets = opsetsOf(model);
  inspectGraph(graph, 'graph', { limits, opsets, shapes: new Map() });

  const given = new Set(graph.initializer.map(({ name }) => name));
  const inputs = graph.input.filter(({ name }) => !given.has(name)).map(toValue);
  const outputs = graph.output.map(toValue);
  const input = inputOf(inputs, contract);
  return {
    inputs,
    outputs,
    opsets,
    producer: [model.producerName, model.producerVersion].filter((text) => text).join(' '),
    bytes: bytes.length,
    score: { input, columns: contract.columns, ...scoreOf(outputs, contract) },
  };
}

// Files that are no models

const ascii = (text: string) => [...text].map((letter) => letter.charCodeAt(0));

const packed: readonly (readonly [name: string, start: readonly number[]])[] = [
  ['zip', [...ascii('PK'), 3, 4]],
  ['gzip', [0x1f, 0x8b]],
  ['bzip2', [...ascii('BZh'), ...[0x39, 0x31, 0x41, 0x59]]],
  ['xz', [0xfd, ...ascii('7zXZ'), 0]],
  ['7z', [...ascii('7z'), 0xbc, 0xaf]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
];

const foreign: readonly (readonly [name: string, start: readonly number[]])[] = [
  ['a Python pickle', [0x80, 4, 0x95]],
  ['a Python pickle', [0x80, 5, 0x95]],
  ["LightGBM's own text", ascii('tree\n')],
  ['JSON', ascii('{')],
  ['HTML', ascii('<')],
  ['a pointer to a file in Git LFS', ascii('version https://git-lfs')],
  ['HDF5', [0x89, ...ascii('HDF')]],
  ['TensorFlow Lite', [0x1c, 0, 0, 0, ...ascii('TFL3')]],
];

function refuseLookalikes(bytes: Uint8Array) {
  if (bytes.length === 0) refuse('NOT_ONNX', 'model', `the file is empty: ${exportIt}`);
  const begins = (start: readonly number[]) => start.every((byte, i) => bytes[i] === byte);
  const archive = packed.find(([, start]) => begins(start));
  if (archive) refuse('COMPRESSED', 'model', `this is ${archive[0]}: unpack it first, and send the .onnx file itself`);
  const other = foreign.find(([, start]) => begins(start));
  if (other) refuse('NOT_ONNX', 'model', `this is ${other[0]}, no ONNX model: ${exportIt}`);
}

// Operators and tensors

const domains: readonly string[] = ['', 'ai.onnx.ml'];
const domainOf = (domain: string | undefined) => (domain === 'ai.onnx' ? '' : (domain ?? ''));

function opsetsOf({ opsetImport }: Message<'Model'>): Record<string, number> {
  const opsets: Record<string, number> = {};
  for (const [i, { domain, version = 0 }] of opsetImport.entries()) {
    const known = domainOf(domain);
    if (!domains.includes(known)) refuseDomain(`opset_import[${i}].domain`, known);
    opsets[known || 'ai.onnx'] = Math.max(version, opsets[known || 'ai.onnx'] ?? 0);
  }
  return opsets;
}

function refuseDomain(field: string, domain: string): never {
  const message = `operators of ${quoted(domain)} are not taken: export with the standard ones, ai.onnx and ai.onnx.ml`;
  refuse('OPERATOR_UNKNOWN', field, message);
}

const random = ['RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike', 'Multinomial', 'Bernoulli'];

/** Operators that make a tensor of a shape, or repeat one, and the input that says how often. */
const shapedBy: Readonly<Record<string, number>> = { ConstantOfShape: 0, Expand: 1, Tile: 1, Reshape: 1, OneHot: 1 };

/** Attributes that stand for "no value" or "no bound", and may be NaN or infinite. */
const openAttributes = ['replaced_value_float', 'nodes_values', 'nodes_hitrates', 'default_float'];

interface Scope {
  readonly limits: OnnxLimits;
  readonly opsets: Readonly<Record<string, number>>;
  /** Whole numbers that are given, by the name of their value, in this graph and those around it. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
}

function inspectGraph(graph: Message<'Graph'>, path: string, outer: Scope) {
  if (graph.sparseInitializer.length > 0) {
    refuse('UNSUPPORTED', `${path}.sparse_initializer`, 'sparse tensors are not taken: export dense ones');
  }
  const shapes = new Map(outer.shapes);
  for (const [i, tensor] of graph.initializer.entries()) {
    inspectTensor(tensor, `${path}.initializer[${i}]`, outer.limits);
    if (tensor.name !== undefined) shapes.set(tensor.name, wholeNumbers(tensor));
  }
  for (const { opType, domain, attribute, output } of graph.node) {
    if (opType !== 'Constant' || domainOf(domain) !== '' || output[0] === undefined) continue;
    shapes.set(
      output[0],
      attribute.flatMap(({ t, i, ints }) => [...(t ? wholeNumbers(t) : []), ...(i === undefined ? [] : [i]), ...ints]),
    );
  }
  const scope = { ...outer, shapes };
  for (const [i, node] of graph.node.entries()) inspectNode(node, `${path}.node[${i}]`, scope);
}

function inspectNode({ opType = '', domain, input, attribute }: Message<'Node'>, path: string, scope: Scope) {
  const known = domainOf(domain);
  if (!domains.includes(known)) refuseDomain(`${path}.domain`, known);
  if (scope.opsets[known || 'ai.onnx'] === undefined) {
    refuse('OPERATOR_UNKNOWN', path, `opset_import has no version for ${known || 'ai.onnx'}: export it anew`);
  }
  if (random.includes(opType)) {
    refuse('NOT_DETERMINISTIC', path, `${opType} draws at random, and a score must be the same again: leave it out`);
  }
  const shaping = shapedBy[opType];
  const shape = shaping === undefined ? undefined : scope.shapes.get(input[shaping] ?? '');
  if (shape) refuseElements(shape, `${path} (${opType})`, scope.limits);
  for (const [i, each] of attribute.entries()) inspectAttribute(each, `${path}.attribute[${i}]`, scope);
}

function inspectAttribute(attribute: Message<'Attribute'>, path: string, scope: Scope) {
  const { name = '', f, floats, t, tensors, g, graphs, sparseTensor, sparseTensors } = attribute;
  if (sparseTensor !== undefined || sparseTensors.length > 0) {
    refuse('UNSUPPORTED', path, 'sparse tensors are not taken: export dense ones');
  }
  const isOpen = openAttributes.includes(name);
  if (!isOpen && !(Number.isFinite(f ?? 0) && floats.every(Number.isFinite)))
    refuseNotFinite(`${path} (${quoted(name)})`);
  for (const each of [...(t ? [t] : []), ...tensors]) inspectTensor(each, `${path} (${quoted(name)})`, scope.limits);
  for (const each of [...(g ? [g] : []), ...graphs]) inspectGraph(each, `${path} (${quoted(name)})`, scope);
}

function refuseNotFinite(field: string): never {
  refuse(
    'NOT_FINITE',
    field,
    'it holds NaN or infinity, so its scores would be none: look for missing values in training',
  );
}

/** Bytes of an entry in raw data, of the types that a tensor of a scorer can have, and how it is called. */
const elementTypes: ReadonlyMap<number, readonly [name: string, size: number]> = new Map([
  [1, ['float', 4]],
  [2, ['uint8', 1]],
  [3, ['int8', 1]],
  [4, ['uint16', 2]],
  [5, ['int16', 2]],
  [6, ['int32', 4]],
  [7, ['int64', 8]],
  [8, ['string', 0]],
  [9, ['bool', 1]],
  [10, ['float16', 2]],
  [11, ['double', 8]],
  [12, ['uint32', 4]],
  [13, ['uint64', 8]],
  [16, ['bfloat16', 2]],
]);

const isEmpty = (bytes: Uint8Array | undefined) => bytes === undefined || bytes.length === 0;

function inspectTensor(tensor: Message<'Tensor'>, place: string, limits: OnnxLimits) {
  const field = tensor.name ? `${place} (${quoted(tensor.name)})` : place;
  if (tensor.externalData.length > 0 || (tensor.dataLocation ?? 0) !== 0) {
    const message =
      'its data is in another file: save the model as one, onnx.save(model, path, save_as_external_data=False)';
    refuse('EXTERNAL_DATA', field, message);
  }
  if (tensor.segment !== undefined)
    refuse('UNSUPPORTED', field, 'tensors in segments are not taken: save it in one piece');
  const [type, size] = elementTypes.get(tensor.dataType ?? 0) ?? [];
  if (type === undefined || size === undefined) {
    refuse('UNSUPPORTED', field, `tensors of type ${tensor.dataType ?? 0} are not taken: export with float`);
  }
  const elements = refuseElements(tensor.dims, field, limits);
  const lists = [
    tensor.floatData.length,
    tensor.int32Data.length,
    tensor.int64Data.length,
    tensor.doubleData.length,
    tensor.uint64Data.length,
    tensor.stringData.length,
  ].filter((length) => length > 0);
  const count = isEmpty(tensor.rawData) ? (lists[0] ?? 0) : (tensor.rawData?.length ?? 0) / size;
  if (lists.length + (isEmpty(tensor.rawData) ? 0 : 1) > 1 || count !== elements) {
    refuse('TENSOR_INVALID', field, `its shape has ${elements} entries and its data ${count}: export it anew`);
  }
  if (!isAllFinite(tensor, type)) refuseNotFinite(field);
}

function refuseElements(dims: readonly number[], field: string, { maxElements }: OnnxLimits): number {
  // a dimension of -1 stands for what is left, one of 0 (of Reshape) for what was there
  const elements = dims.reduce((product, dim) => product * Math.abs(dim), 1);
  if (dims.some((dim) => Math.abs(dim) > maxElements) || elements > maxElements) {
    refuse(
      'TENSOR_TOO_LARGE',
      field,
      `its shape [${dims.slice(0, 8)}] has more than ${maxElements} entries: make it smaller`,
    );
  }
  return elements;
}

function isAllFinite(tensor: Message<'Tensor'>, type: string): boolean {
  if (!tensor.floatData.every(Number.isFinite) || !tensor.doubleData.every(Number.isFinite)) return false;
  const raw = tensor.rawData ?? new Uint8Array();
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const every = (size: number, isFine: (at: number) => boolean) => {
    for (let at = 0; at < raw.length; at += size) if (!isFine(at)) return false;
    return true;
  };
  const halves = tensor.int32Data;
  const [mask, isHalf] = type === 'bfloat16' ? [0x7f80, true] : [0x7c00, type === 'float16'];
  if (type === 'float') return every(4, (at) => Number.isFinite(view.getFloat32(at, true)));
  if (type === 'double') return every(8, (at) => Number.isFinite(view.getFloat64(at, true)));
  if (!isHalf) return true;
  return halves.every((bits) => (bits & mask) !== mask) && every(2, (at) => (view.getUint16(at, true) & mask) !== mask);
}

function wholeNumbers({ dataType, int64Data, int32Data, rawData }: Message<'Tensor'>): readonly number[] {
  if (dataType !== 7 || isEmpty(rawData) || rawData === undefined) return dataType === 7 ? int64Data : int32Data;
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  return Array.from({ length: Math.floor(rawData.length / 8) }, (_, i) => Number(view.getBigInt64(i * 8, true)));
}

// What goes in, and what comes out

function toValue({ name = '', type }: Message<'ValueInfo'>): OnnxValue {
  const tensor = type?.tensorType;
  const shape = tensor?.shape?.dim.map(({ dimValue, dimParam }) => (dimParam === undefined ? dimValue : undefined));
  return { name, type: typeOf(type), shape };
}

function typeOf(type: Message<'Type'> | undefined): string {
  if (type?.sequenceType !== undefined) return 'sequence';
  if (type?.mapType !== undefined) return 'map';
  if (type?.optionalType !== undefined) return 'optional';
  if (type?.sparseTensorType !== undefined) return 'sparse tensor';
  if (type?.opaqueType !== undefined) return 'opaque';
  const elementType = type?.tensorType?.elemType ?? 0;
  return elementTypes.get(elementType)?.[0] ?? `type ${elementType}`;
}

const shapeText = (shape: OnnxValue['shape']) =>
  shape === undefined ? 'no shape' : `shape [${shape.slice(0, 8).map((dim) => dim ?? 'any')}]`;

function inputOf(inputs: readonly OnnxValue[], { columns }: OnnxContract): string {
  const asked = `one of float, [batch, ${columns}]`;
  const [input, ...others] = inputs;
  if (input === undefined || others.length > 0) {
    const message = `it has ${inputs.length} inputs, and ${asked} is asked for: put the features into one tensor`;
    refuse('INPUT_COUNT', 'graph.input', message);
  }
  const field = `graph.input[${quoted(input.name)}]`;
  if (input.type !== 'float') {
    const message = `it is of ${input.type}, and ${asked} is asked for: export with FloatTensorType([None, ${columns}])`;
    refuse('INPUT_TYPE', field, message);
  }
  if (input.shape?.length !== 2 || input.shape[0] !== undefined || input.shape[1] !== columns) {
    const isFixed = input.shape?.[0] !== undefined;
    const advice = isFixed ? 'leave the batch open, [None, …]' : `export with FloatTensorType([None, ${columns}])`;
    refuse('INPUT_SHAPE', field, `it has ${shapeText(input.shape)}, and ${asked} is asked for: ${advice}`);
  }
  return input.name;
}

const noTensor = ['sequence', 'map', 'optional', 'sparse tensor', 'opaque'];

function scoreOf(outputs: readonly OnnxValue[], contract: OnnxContract): Omit<OnnxModel['score'], 'input' | 'columns'> {
  const other = outputs.find(({ type }) => noTensor.includes(type));
  if (other) {
    const message = `it is a ${other.type}, no tensor: convert with zipmap=False`;
    refuse('OUTPUT_NOT_TENSOR', `graph.output[${quoted(other.name)}]`, message);
  }
  const { name, type, shape } = chooseOutput(outputs, contract);
  const field = `graph.output[${quoted(name)}]`;
  if (type !== 'float')
    refuse('OUTPUT_TYPE', field, `it is of ${type}, and a score is float: add a cast, or name another`);
  const width = shape?.length === 1 ? 1 : shape?.length === 2 ? shape[1] : undefined;
  if (shape === undefined || shape[0] !== undefined || (width !== 1 && width !== 2)) {
    const message = `it has ${shapeText(shape)}, and a score is [batch], [batch, 1] or [batch, 2]: give one score for each row`;
    refuse('OUTPUT_SHAPE', field, message);
  }
  const { positiveColumn } = contract;
  if (width === 2 && positiveColumn === undefined) {
    refuse(
      'POSITIVE_COLUMN',
      field,
      'it has a probability for each of two classes: say which column is the score, 0 or 1',
    );
  }
  if (width === 1 && positiveColumn !== undefined) {
    refuse('POSITIVE_COLUMN', field, 'it has one score, and a column is named: leave the column out');
  }
  return { output: name, width, column: positiveColumn ?? 0 };
}

function chooseOutput(outputs: readonly OnnxValue[], { output }: OnnxContract): OnnxValue {
  const names = outputs.map(({ name }) => quoted(name)).slice(0, 8);
  if (output !== undefined) {
    const chosen = outputs.find(({ name }) => name === output);
    const message = `there is no ${quoted(output)} among its outputs, ${names.join(', ')}: name one of them`;
    return chosen ?? refuse('OUTPUT_MISSING', 'graph.output', message);
  }
  // Classifiers give a label beside their probabilities.
  const scores = outputs.filter(({ type }) => type === 'float');
  const [only, ...others] = scores.length > 0 ? scores : outputs;
  if (only === undefined) refuse('OUTPUT_MISSING', 'graph.output', 'it has no output: export one score for each row');
  if (others.length > 0) {
    const message = `${others.length + 1} of its outputs may be the score, ${names.join(', ')}: name the one that is`;
    refuse('OUTPUT_AMBIGUOUS', 'graph.output', message);
  }
  return only;
}
