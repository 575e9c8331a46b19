// The yardstick of a Score: all that no server in this process could leave out. HTTP/2, the gRPC frame, decoding the
// request, encoding an answer of the real size; no checks, no store, no decision, no log.

import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ScoreRequestSchema, ScoreResponseSchema } from '../gen/proto/oo/serving/v1/serving_pb.ts';
import { answerTasks } from './processes.ts';
import { grpcFrame } from './requests.ts';

export interface BareTask {
  /** An answer of the real server. Every call is answered with it, encoded anew. */
  readonly answer: Uint8Array;
}

export interface BareAddress {
  readonly url: string;
}

answerTasks(({ answer }: BareTask): Promise<BareAddress> => {
  const response = fromBinary(ScoreResponseSchema, answer);
  const server = createServer();
  server.on('stream', (stream) => {
    const chunks: Buffer[] = [];
    stream.on('error', () => {}); // a caller who leaves must not end the process
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const request = fromBinary(ScoreRequestSchema, Buffer.concat(chunks).subarray(5));
      response.decisionId = request.requestId;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(grpcFrame(toBinary(ScoreResponseSchema, response)));
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }));
  });
});
