import type { MessageInitShape } from '@bufbuild/protobuf';
import { type CallOptions, type Client, createClient, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import {
  type GenerateRequestSchema,
  type GenerateResponse,
  type GenerateStreamResponse,
  type ScoreRequestSchema,
  type ScoreResponse,
  ServingService,
} from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { newId } from '../platform/ids.ts';
import { parsePromptVersions, pickPromptVersion } from './prompt-versions.ts';

export interface ClientOptions {
  /** For example `http://127.0.0.1:8080`. */
  readonly baseUrl: string;
  /** Sent as a bearer token. Undefined: the service asks for none. */
  readonly apiKey?: string;
  /**
   * The caller's `TIP_PROMPT_VERSION`: one prompt version, several with commas between (by request), or with weights (by
   * person). Undefined: the service's default.
   */
  readonly promptVersions?: string;
  /** With weights: what sorts people into versions, the same for all callers. Another one sorts them anew. Default: `prompts`. */
  readonly promptSalt?: string;
  /** Default deadline of a call, in milliseconds. Default: 2,000 for a Score, 30,000 for a Generate. */
  readonly timeoutMs?: number;
}

export interface TipClient {
  /** Chooses one candidate. A `requestId` is made if there is none; send the same one again to retry. */
  score(request: MessageInitShape<typeof ScoreRequestSchema>, options?: CallOptions): Promise<ScoreResponse>;
  /** Writes tips, with the caller's prompt versions in rotation unless the request names one. */
  generate(request: MessageInitShape<typeof GenerateRequestSchema>, options?: CallOptions): Promise<GenerateResponse>;
  /** The same, sent tip by tip as the model completes them, and the whole answer last. */
  generateStream(
    request: MessageInitShape<typeof GenerateRequestSchema>,
    options?: CallOptions,
  ): AsyncIterable<GenerateStreamResponse>;
  /** The generated client, for everything else. */
  readonly serving: Client<typeof ServingService>;
}

/** What a recommender imports: gRPC, which is what the service answers cheapest. Errors are ConnectErrors, with `google.rpc` details. Throws on bad options. */
export function createTipClient({ baseUrl, apiKey, promptVersions, promptSalt, timeoutMs }: ClientOptions): TipClient {
  const rotation = parsePromptVersions(promptVersions);
  const interceptors = apiKey === undefined ? [] : [bearer(apiKey)];
  const serving = createClient(ServingService, createGrpcTransport({ baseUrl, interceptors }));
  const toGenerate = (request: MessageInitShape<typeof GenerateRequestSchema>) => ({
    ...request,
    requestId: request.requestId || newId(Date.now()),
    promptVersion:
      request.promptVersion ||
      pickPromptVersion(rotation, {
        userId: request.userId ?? '',
        salt: promptSalt ?? 'prompts',
        random: Math.random(),
      }),
  });
  return {
    serving,
    score(request, callOptions) {
      return serving.score(
        { ...request, requestId: request.requestId || newId(Date.now()) },
        { timeoutMs: timeoutMs ?? 2_000, ...callOptions },
      );
    },
    generate(request, callOptions) {
      return serving.generate(toGenerate(request), { timeoutMs: timeoutMs ?? 30_000, ...callOptions });
    },
    generateStream(request, callOptions) {
      const generate = toGenerate(request);
      return serving.generateStream({ generate }, { timeoutMs: timeoutMs ?? 30_000, ...callOptions });
    },
  };
}

function bearer(apiKey: string): Interceptor {
  return (next) => (request) => {
    request.header.set('authorization', `Bearer ${apiKey}`);
    return next(request);
  };
}
