import { fromBinary } from '@bufbuild/protobuf';
import { GenerateResponseSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { freePort } from '../platform/embedded/free-port.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import type { GenerateLoadResult, GenerateLoadTask } from './generate-load.ts';
import type { LlmAddress, LlmTask } from './llm.ts';
import type { Script } from './processes.ts';
import { exampleTips, generatePath, generateSource } from './requests.ts';
import type { Stack } from './stack.ts';

/** A server that asks a model. */
export interface GenerateServer {
  readonly url: string;
  readonly script: Script;
}

export interface Model {
  readonly stack: Stack;
  /** Where a model is that takes so long to answer. */
  urlOf(delay: number | 'never'): string;
  /** The last question that the model was asked, as it was sent. */
  lastQuestion(): Promise<string>;
  /** Starts a server whose model takes so long, and waits until it has answered. */
  serve(delay: number | 'never', env?: Readonly<Record<string, string>>): Promise<GenerateServer>;
  /** Calls in a process of its own. */
  load(task: GenerateLoadTask): Promise<GenerateLoadResult>;
}

/** A language model and a load, each a process of its own. */
export async function withModel(stack: Stack): Promise<Model> {
  const llm = stack.start('bench/llm.ts');
  const { url } = await llm.ask<LlmAddress>({ tips: exampleTips } satisfies LlmTask);
  const load = stack.start('bench/generate-load.ts');
  const urlOf = (delay: number | 'never') => `${url}/${delay}/v1`;
  return {
    stack,
    urlOf,
    lastQuestion: () => llm.ask<string>('last-question' satisfies LlmTask),
    serve: async (delay, env = {}) => {
      const port = await freePort();
      const models = { LLM_BASE_URL: urlOf(delay), LLM_MODEL: 'bench' };
      const script = stack.start('server/main.ts', { PORT: String(port), ...models, ...env });
      const at = `http://127.0.0.1:${port}`;
      await waitFor('the server to write tips', () => isWritten(at, delay === 'never'));
      return { url: at, script };
    },
    load: (task) => load.ask<GenerateLoadResult>(task),
  };
}

/** Whether an answer is as it is to be: by the model with nothing missing, or by templates where there is no answer. */
async function isWritten(url: string, isByTemplates: boolean): Promise<boolean> {
  const body = new Uint8Array(generateSource()().subarray(5)); // without the frame of gRPC
  const headers = { 'content-type': 'application/proto', 'connect-timeout-ms': isByTemplates ? '400' : '20000' };
  const response = await fetch(url + generatePath, { method: 'POST', headers, body }).catch(() => undefined);
  if (!response) return false; // not listening yet
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (!response.ok) throw new Error(`the first Generate failed: ${Buffer.from(bytes)}`);
  const { model, candidates, degradations } = fromBinary(GenerateResponseSchema, bytes);
  if (isByTemplates) return model === '';
  return model === 'bench-1' && candidates.length === 3 && degradations.length === 0;
}
