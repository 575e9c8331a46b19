import { createRegistry, type DescFile, type Registry, toBinary } from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code, type ConnectRouter } from '@connectrpc/connect';
import { file_google_rpc_error_details } from '../../gen/proto/google/rpc/error_details_pb.ts';
import { ServerReflection, type ServerReflectionRequest } from '../../gen/proto/grpc/reflection/v1/reflection_pb.ts';
import {
  ServerReflection as ServerReflectionAlpha,
  type ServerReflectionRequest as ServerReflectionRequestAlpha,
} from '../../gen/proto/grpc/reflection/v1alpha/reflection_pb.ts';

/** Tells tools what this server speaks, so that `buf curl` and its like need no proto files. */
export function reflectionRoutes(services: () => readonly { readonly typeName: string; readonly file: DescFile }[]) {
  let contract: Contract | undefined;
  const describe = () => {
    contract ??= createContract(services());
    return contract;
  };
  return (router: ConnectRouter): void => {
    router.service(ServerReflection, { serverReflectionInfo: (requests) => answerEach(requests, describe()) });
    router.service(ServerReflectionAlpha, { serverReflectionInfo: (requests) => answerEach(requests, describe()) });
  };
}

type AnyRequest = ServerReflectionRequest | ServerReflectionRequestAlpha;

// The two versions of the protocol differ in nothing but their name.
async function* answerEach<Request extends AnyRequest>(requests: AsyncIterable<Request>, contract: Contract) {
  for await (const request of requests) {
    yield { validHost: request.host, originalRequest: request, messageResponse: answer(request, contract) };
  }
}

interface Contract {
  readonly services: readonly string[];
  readonly files: ReadonlyMap<string, DescFile>;
  readonly symbols: ReadonlyMap<string, DescFile>;
  readonly registry: Registry;
}

function answer({ messageRequest: asked }: AnyRequest, contract: Contract): Answer {
  switch (asked.case) {
    case 'listServices':
      return { case: 'listServicesResponse', value: { service: contract.services.map((name) => ({ name })) } };
    case 'fileByFilename':
      return describeFile(contract.files.get(asked.value), `file ${asked.value}`);
    case 'fileContainingSymbol':
      return describeFile(contract.symbols.get(asked.value), `symbol ${asked.value}`);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = asked.value;
      const extendee = contract.registry.getMessage(containingType);
      const extension = extendee && contract.registry.getExtensionFor(extendee, extensionNumber);
      return describeFile(extension?.file, `extension ${extensionNumber} of ${containingType}`);
    }
    case 'allExtensionNumbersOfType': {
      const extendee = contract.registry.getMessage(asked.value);
      if (extendee === undefined) return notFound(`type ${asked.value}`);
      const extensionNumber = [...contract.registry].flatMap((type) =>
        type.kind === 'extension' && type.extendee.typeName === extendee.typeName ? [type.number] : [],
      );
      return { case: 'allExtensionNumbersResponse', value: { baseTypeName: asked.value, extensionNumber } };
    }
    default:
      return failed(Code.InvalidArgument, 'nothing was asked');
  }
}

/** Plain data, which either version of the protocol makes its own message from. */
type Answer =
  | { readonly case: 'listServicesResponse'; readonly value: { readonly service: { readonly name: string }[] } }
  | { readonly case: 'fileDescriptorResponse'; readonly value: { readonly fileDescriptorProto: Uint8Array[] } }
  | {
      readonly case: 'allExtensionNumbersResponse';
      readonly value: { readonly baseTypeName: string; readonly extensionNumber: number[] };
    }
  | { readonly case: 'errorResponse'; readonly value: { readonly errorCode: number; readonly errorMessage: string } };

/** The file first, then all that it imports, so that nobody has to ask again. */
function describeFile(file: DescFile | undefined, what: string): Answer {
  if (file === undefined) return notFound(what);
  const fileDescriptorProto = [...withImports([file])].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

function notFound(what: string): Answer {
  return failed(Code.NotFound, `there is no ${what}`);
}

function failed(errorCode: Code, errorMessage: string): Answer {
  return { case: 'errorResponse', value: { errorCode, errorMessage } };
}

/** The services, all they import, and the details of errors, which no service mentions. */
function createContract(services: readonly { readonly typeName: string; readonly file: DescFile }[]): Contract {
  const files = withImports([...services.map(({ file }) => file), file_google_rpc_error_details]);
  return {
    services: services.map(({ typeName }) => typeName).sort(),
    files: new Map([...files].map((file) => [file.proto.name, file])),
    symbols: new Map([...files].flatMap((file) => symbolsOf(file).map((symbol) => [symbol, file] as const))),
    registry: createRegistry(...files),
  };
}

function withImports(files: readonly DescFile[], found = new Set<DescFile>()): ReadonlySet<DescFile> {
  for (const file of files) {
    if (found.has(file)) continue;
    found.add(file);
    withImports(file.dependencies, found);
  }
  return found;
}

/** Full names of types and of what they are made of. Enum values are named beside their enum, as in C++. */
function symbolsOf(file: DescFile): string[] {
  return [...nestedTypes(file)].flatMap((type) => {
    switch (type.kind) {
      case 'message':
        return [type.typeName, ...[...type.fields, ...type.oneofs].map(({ name }) => `${type.typeName}.${name}`)];
      case 'enum':
        return [type.typeName, ...type.values.map(({ name }) => type.typeName.replace(/[^.]+$/, name))];
      case 'service':
        return [type.typeName, ...type.methods.map(({ name }) => `${type.typeName}.${name}`)];
      default:
        return [type.typeName];
    }
  });
}
