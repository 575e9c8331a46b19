import { newId } from '../../platform/ids.ts';
import { dim, heading, say } from './print.ts';

/** Prints calls to try by hand. Both carry the same request id, so both get the same answer. */
export function printCalls(baseUrl: string): void {
  const request = JSON.stringify({
    requestId: newId(Date.now()),
    userId: 'demo-ben',
    candidates: [
      { id: 'a', kind: 'TIP_KIND_TASK', source: 'TIP_SOURCE_TASK_DIRECT', features: { isOverdue: true, priority: 4 } },
      { id: 'b', kind: 'TIP_KIND_ADVICE', source: 'TIP_SOURCE_LLM', promptVersion: 'v1' },
    ],
  });
  const url = `${baseUrl}/oo.serving.v1.ServingService/Score`;
  heading('Try it yourself');
  say(`   curl ${url} -H 'content-type: application/json' -d '${request}'`);
  say();
  say(`   npx buf curl --http2-prior-knowledge --protocol grpc -d '${request}' ${url}`);
  say();
  say(
    dim(
      '   Both carry the same request id, so both get the same answer. Ctrl-C stops everything; the data stays in .oo/.',
    ),
  );
}
