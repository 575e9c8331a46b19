// The messages of an ONNX file, read from their bytes: no runtime has seen them yet, and they may be anybody's. A table
// stands for onnx-ml.proto, since whatever the runtime would find in a file must be found here too; the interop tests
// compare it with the real one. Reading is stricter than protobuf: what two readers could understand in two ways is refused.

type Many = 'many';
type Scalar = 'int' | 'float' | 'double' | 'string' | 'bytes';
type Field = readonly [number: number, kind: string] | readonly [number: number, kind: string, many: Many];

const graphs = {
  Graph: {
    node: [1, 'Node', 'many'],
    name: [2, 'string'],
    initializer: [5, 'Tensor', 'many'],
    sparseInitializer: [15, 'SparseTensor', 'many'],
    docString: [10, 'bytes'],
    input: [11, 'ValueInfo', 'many'],
    output: [12, 'ValueInfo', 'many'],
    valueInfo: [13, 'ValueInfo', 'many'],
    quantizationAnnotation: [14, 'bytes', 'many'],
    metadataProps: [16, 'bytes', 'many'],
  },
  Node: {
    input: [1, 'string', 'many'],
    output: [2, 'string', 'many'],
    name: [3, 'string'],
    opType: [4, 'string'],
    domain: [7, 'string'],
    overload: [8, 'string'],
    attribute: [5, 'Attribute', 'many'],
    docString: [6, 'bytes'],
    metadataProps: [9, 'bytes', 'many'],
    deviceConfigurations: [10, 'bytes', 'many'],
  },
  Attribute: {
    name: [1, 'string'],
    refAttrName: [21, 'string'],
    docString: [13, 'bytes'],
    type: [20, 'int'],
    f: [2, 'float'],
    i: [3, 'int'],
    s: [4, 'bytes'],
    t: [5, 'Tensor'],
    g: [6, 'Graph'],
    sparseTensor: [22, 'SparseTensor'],
    tp: [14, 'Type'],
    floats: [7, 'float', 'many'],
    ints: [8, 'int', 'many'],
    strings: [9, 'bytes', 'many'],
    tensors: [10, 'Tensor', 'many'],
    graphs: [11, 'Graph', 'many'],
    sparseTensors: [23, 'SparseTensor', 'many'],
    typeProtos: [15, 'Type', 'many'],
  },
  Tensor: {
    dims: [1, 'int', 'many'],
    dataType: [2, 'int'],
    segment: [3, 'bytes'],
    floatData: [4, 'float', 'many'],
    int32Data: [5, 'int', 'many'],
    stringData: [6, 'bytes', 'many'],
    int64Data: [7, 'int', 'many'],
    name: [8, 'string'],
    docString: [12, 'bytes'],
    rawData: [9, 'bytes'],
    externalData: [13, 'Entry', 'many'],
    dataLocation: [14, 'int'],
    doubleData: [10, 'double', 'many'],
    uint64Data: [11, 'int', 'many'],
    metadataProps: [16, 'bytes', 'many'],
  },
  SparseTensor: { values: [1, 'Tensor'], indices: [2, 'Tensor'], dims: [3, 'int', 'many'] },
  Entry: { key: [1, 'string'], value: [2, 'string'] },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Field>>>>;

const types = {
  ValueInfo: {
    name: [1, 'string'],
    type: [2, 'Type'],
    docString: [3, 'bytes'],
    metadataProps: [4, 'bytes', 'many'],
  },
  Type: {
    tensorType: [1, 'TensorType'],
    sequenceType: [4, 'bytes'],
    mapType: [5, 'bytes'],
    optionalType: [9, 'bytes'],
    sparseTensorType: [8, 'bytes'],
    opaqueType: [7, 'bytes'],
    denotation: [6, 'string'],
  },
  TensorType: { elemType: [1, 'int'], shape: [2, 'Shape'] },
  Shape: { dim: [1, 'Dimension', 'many'] },
  Dimension: { dimValue: [1, 'int'], dimParam: [2, 'string'], denotation: [3, 'string'] },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Field>>>>;

/** Every message that is read, by its name; of each field its number, what it holds, and whether it may come again. */
export const messages = {
  Model: {
    irVersion: [1, 'int'],
    opsetImport: [8, 'OperatorSet', 'many'],
    producerName: [2, 'string'],
    producerVersion: [3, 'string'],
    domain: [4, 'string'],
    modelVersion: [5, 'int'],
    docString: [6, 'bytes'],
    graph: [7, 'Graph'],
    metadataProps: [14, 'Entry', 'many'],
    trainingInfo: [20, 'bytes', 'many'],
    functions: [25, 'bytes', 'many'],
    configuration: [26, 'bytes', 'many'],
  },
  OperatorSet: { domain: [1, 'string'], version: [2, 'int'] },
  ...graphs,
  ...types,
} as const satisfies Readonly<Record<string, Readonly<Record<string, Field>>>>;

export type MessageName = keyof typeof messages;

type Value<Kind> = Kind extends 'int' | 'float' | 'double'
  ? number
  : Kind extends 'string'
    ? string
    : Kind extends 'bytes'
      ? Uint8Array
      : Kind extends MessageName
        ? Message<Kind>
        : never;

/** A message as it was read. A field that was not there is undefined, one that may come again is then empty. */
export type Message<Name extends MessageName> = {
  readonly [F in keyof (typeof messages)[Name]]: (typeof messages)[Name][F] extends readonly [number, infer Kind, Many]
    ? readonly Value<Kind>[]
    : (typeof messages)[Name][F] extends readonly [number, infer Kind]
      ? Value<Kind> | undefined
      : never;
};

/** Why bytes are no message: cut off, more than anyone needs, or nothing that protobuf would write. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
  readonly kind: 'truncated' | 'complex' | 'foreign';

  constructor(kind: MalformedError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface ReadLimits {
  /** Numbers, strings and runs of bytes in all of a file. Raw data counts as one: it is left where it is. */
  readonly maxValues: number;
  /** Each takes hundreds of bytes of memory, and may take two in a file. */
  readonly maxMessages: number;
  /** Messages within messages. The runtime gives up at 100. */
  readonly maxDepth: number;
}

const varint = 0;
const fixed64 = 1;
const delimited = 2;
const fixed32 = 5;
const wireTypeOf: Readonly<Record<Scalar, number>> = {
  int: varint,
  float: fixed32,
  double: fixed64,
  string: delimited,
  bytes: delimited,
};
const wireTypes: readonly number[] = [varint, fixed64, delimited, fixed32];

interface Known {
  readonly name: string;
  readonly kind: Scalar | MessageName;
  readonly isMany: boolean;
  readonly wireType: number;
}

const isMessage = (kind: string): kind is MessageName => kind in messages;

const known = new Map(
  Object.entries(messages).map(([message, fields]) => [
    message,
    new Map(
      Object.entries(fields as Readonly<Record<string, Field>>).map(([name, [number, kind, many]]): [number, Known] => {
        const wireType = isMessage(kind) ? delimited : wireTypeOf[kind as Scalar];
        return [number, { name, kind: kind as Scalar | MessageName, isMany: many !== undefined, wireType }];
      }),
    ),
  ]),
);

/** Reads a message from its bytes. Throws MalformedError. Bytes within it are views into those that were given. */
export function readMessage<Name extends MessageName>(
  bytes: Uint8Array,
  name: Name,
  limits: ReadLimits,
): Message<Name> {
  return new Reader(bytes, limits).message(name, bytes.length, name, 0) as Message<Name>;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #limits: ReadLimits;
  readonly #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #at = 0;
  #values = 0;
  #messages = 0;

  constructor(bytes: Uint8Array, limits: ReadLimits) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#limits = limits;
  }

  message(name: MessageName, end: number, path: string, depth: number): Record<string, unknown> {
    const { maxDepth, maxMessages } = this.#limits;
    if (depth > maxDepth) throw new MalformedError('complex', `its messages are more than ${maxDepth} deep`);
    if (++this.#messages > maxMessages) {
      throw new MalformedError('complex', `it holds more than ${maxMessages} messages`);
    }
    const fields = known.get(name) as ReadonlyMap<number, Known>;
    const read: Record<string, unknown> = Object.create(null);
    for (const field of fields.values()) if (field.isMany) read[field.name] = [];

    while (this.#at < end) {
      const tag = this.#varint(end, path);
      const [number, wireType] = [Math.floor(tag / 8), tag % 8];
      if (number < 1 || number >= 2 ** 29 || !wireTypes.includes(wireType)) {
        throw new MalformedError('foreign', `${path} holds what protobuf does not write`);
      }
      const field = fields.get(number);
      if (field) this.#field(read, field, wireType, end, path, depth);
      else this.#skip(wireType, end, path);
    }
    return read;
  }

  #field(
    read: Record<string, unknown>,
    { name, kind, isMany, wireType: expected }: Known,
    wireType: number,
    end: number,
    path: string,
    depth: number,
  ) {
    const isPacked = wireType === delimited && expected !== delimited;
    if (wireType !== expected && !(isPacked && isMany)) {
      throw new MalformedError('foreign', `${path}.${name} has the wrong wire type`);
    }
    const inner = isMessage(kind) ? `${path}.${name}` : path; // numbers are too many for a path each
    if (isMany) {
      const values = read[name] as unknown[];
      const last = isPacked ? this.#end(end, path) : undefined;
      if (last === undefined) values.push(this.#value(kind, end, inner, depth));
      else while (this.#at < last) values.push(this.#value(kind, last, inner, depth));
      return;
    }
    // Some readers take the last, others put both together.
    if (read[name] !== undefined) throw new MalformedError('foreign', `${path}.${name} is there twice`);
    read[name] = this.#value(kind, end, inner, depth);
  }

  #value(kind: Scalar | MessageName, end: number, path: string, depth: number): unknown {
    if (++this.#values > this.#limits.maxValues) {
      throw new MalformedError('complex', `it holds more than ${this.#limits.maxValues} values`);
    }
    switch (kind) {
      case 'int':
        return this.#varint(end, path);
      case 'float':
        return this.#view.getFloat32(this.#take(4, end, path), true);
      case 'double':
        return this.#view.getFloat64(this.#take(8, end, path), true);
      case 'bytes':
      case 'string': {
        const last = this.#end(end, path);
        const bytes = this.#bytes.subarray(this.#at, last);
        this.#at = last;
        return kind === 'bytes' ? bytes : this.#decode(bytes, path);
      }
      default: {
        const last = this.#end(end, path);
        return this.message(kind, last, path, depth + 1);
      }
    }
  }

  #decode(bytes: Uint8Array, path: string): string {
    try {
      return this.#text.decode(bytes);
    } catch {
      throw new MalformedError('foreign', `${path} is not UTF-8`);
    }
  }

  #skip(wireType: number, end: number, path: string) {
    if (wireType === varint) this.#varint(end, path);
    else if (wireType === delimited) this.#at = this.#end(end, path);
    else this.#take(wireType === fixed32 ? 4 : 8, end, path);
  }

  /** Where what follows ends, by its length. */
  #end(end: number, path: string): number {
    const length = this.#varint(end, path);
    if (length < 0 || length > end - this.#at) {
      throw new MalformedError('truncated', `${path} is said to have ${length} bytes, and ${end - this.#at} are left`);
    }
    return this.#at + length;
  }

  #take(length: number, end: number, path: string): number {
    if (length > end - this.#at) throw new MalformedError('truncated', `${path} ends too early`);
    const at = this.#at;
    this.#at += length;
    return at;
  }

  /** As a signed number of 64 bits; beyond 2^53 only about. */
  #varint(end: number, path: string): number {
    let [low, high] = [0, 0];
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#take(1, end, path)] as number;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) [low, high] = [low | (bits << 28), bits >>> 4];
      else if (shift < 63 || bits <= 1) high |= bits << (shift - 32);
      else break;
      if (byte < 0x80) return high * 2 ** 32 + (low >>> 0);
    }
    throw new MalformedError('foreign', `${path} holds a number of more than 64 bits`);
  }
}
