import { createFileRegistry, type FileRegistry, fromBinary, type Message, type UnknownField } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';

/** Everything of ours that a buf image defines. */
export interface Contract {
  /** By `Element.key`. */
  elements: Map<string, Element>;
  /** Own files, as written after `import`. */
  files: Set<string>;
  packages: Set<string>;
  /** Own and imported types, custom options included. */
  registry: FileRegistry;
}

export type ElementKind = 'file' | 'message' | 'field' | 'oneof' | 'enum' | 'value' | 'service' | 'rpc' | 'extension';

/** One thing that the contract promises something about. */
export interface Element {
  kind: ElementKind;
  /** What stays the same for as long as it is the same thing: for fields and enum values the number. */
  key: string;
  /** `oo.events.v1.TipFeedback.dwell_ms`; enum values below their enum. */
  name: string;
  package: string;
  path: string;
  line: number;
  /** Doc comment, white space collapsed. Empty: none. */
  comment: string;
  /** google.protobuf.MessageOptions, FieldOptions, … with custom options not decoded yet. */
  options: Message | undefined;
}

/**
 * Reads an image made by `buf build`, leaving out what it imports. Throws on one without source info: comments could
 * not be compared, and a check that compares nothing must not pass.
 */
export function readContract(image: Uint8Array): Contract {
  const set = fromBinary(FileDescriptorSetSchema, image);
  const own = set.file.filter((file) => !isImport(file));
  for (const file of own) {
    if (!file.sourceCodeInfo?.location.length) throw new Error(`the image has no source info for ${file.name}`);
  }
  return {
    elements: new Map(own.flatMap(elementsOf).map((element) => [element.key, element])),
    files: new Set(own.map((file) => file.name)),
    packages: new Set(own.map((file) => file.package)),
    registry: createFileRegistry(set),
  };
}

/** buf marks imported files in an extension of its own: field 8042, a message whose field 1 is `is_import`. */
function isImport(file: FileDescriptorProto): boolean {
  return (file.$unknown ?? []).some((field) => field.no === 8042 && readIsImport(field));
}

function readIsImport(field: UnknownField): boolean {
  const reader = new BinaryReader(new BinaryReader(field.data).bytes());
  while (reader.pos < reader.len) {
    const [no, type] = reader.tag();
    if (no === 1 && type === WireType.Varint) return reader.bool();
    reader.skip(type, no);
  }
  return false;
}

function elementsOf(file: FileDescriptorProto): Element[] {
  const locations = new Map(file.sourceCodeInfo?.location.map((location) => [location.path.join(), location]));
  const at = (kind: ElementKind, id: string, name: string, options: Message | undefined, path: number[]): Element => {
    const location = locations.get(path.join());
    const comments = `${location?.leadingComments ?? ''} ${location?.trailingComments ?? ''}`;
    return {
      kind,
      key: `${kind} ${id}`,
      name,
      package: file.package,
      path: file.name,
      line: (location?.span[0] ?? 0) + 1,
      comment: comments.replace(/\s+/g, ' ').trim(),
      options,
    };
  };

  // The numbers in the paths below are field numbers of descriptor.proto.
  const message = (desc: DescriptorProto, scope: string, path: number[]): Element[] => {
    const name = `${scope}.${desc.name}`;
    if (desc.options?.mapEntry) return [];
    return [
      at('message', name, name, desc.options, path),
      ...desc.field.map((field, i) =>
        at('field', `${name} ${field.number}`, `${name}.${field.name}`, field.options, [...path, 2, i]),
      ),
      ...desc.oneofDecl.map((oneof, i) =>
        at('oneof', `${name}.${oneof.name}`, `${name}.${oneof.name}`, oneof.options, [...path, 8, i]),
      ),
      ...desc.nestedType.flatMap((nested, i) => message(nested, name, [...path, 3, i])),
      ...desc.enumType.flatMap((nested, i) => enumeration(nested, name, [...path, 4, i])),
      ...desc.extension.map((field, i) => extension(field, name, [...path, 6, i])),
    ];
  };
  const enumeration = (desc: EnumDescriptorProto, scope: string, path: number[]): Element[] => {
    const name = `${scope}.${desc.name}`;
    return [
      at('enum', name, name, desc.options, path),
      ...desc.value.map((value, i) =>
        // An alias shares its number: only the name tells them apart.
        at(
          'value',
          `${name} ${desc.options?.allowAlias ? value.name : value.number}`,
          `${name}.${value.name}`,
          value.options,
          [...path, 2, i],
        ),
      ),
    ];
  };
  const extension = (field: FieldDescriptorProto, scope: string, path: number[]): Element =>
    at('extension', `${scope}.${field.name}`, `${scope}.${field.name}`, field.options, path);

  return [
    at('file', file.name, file.name, file.options, []),
    ...file.messageType.flatMap((desc, i) => message(desc, file.package, [4, i])),
    ...file.enumType.flatMap((desc, i) => enumeration(desc, file.package, [5, i])),
    ...file.extension.map((field, i) => extension(field, file.package, [7, i])),
    ...file.service.flatMap((service, i) => {
      const name = `${file.package}.${service.name}`;
      return [
        at('service', name, name, service.options, [6, i]),
        ...service.method.map((rpc, k) =>
          at('rpc', `${name}.${rpc.name}`, `${name}.${rpc.name}`, rpc.options, [6, i, 2, k]),
        ),
      ];
    }),
  ];
}
