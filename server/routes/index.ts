import type { ConnectRouter } from '@connectrpc/connect';
import { AdminService } from '../../gen/proto/oo/admin/v1/admin_pb.ts';
import { ServingService } from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import type { ServerContext } from '../context.ts';
import { createAdminRoutes } from './admin/index.ts';
import { createGenerate } from './generate.ts';
import { createGenerateStream } from './generate-stream.ts';
import { createScore } from './score.ts';

/** The services of this server, one file for each RPC. */
export function createRoutes(context: ServerContext): (router: ConnectRouter) => void {
  const generate = createGenerate(context);
  return (router) => {
    router.service(ServingService, {
      score: createScore(context),
      generate,
      generateStream: createGenerateStream(generate),
    });
    // What is misspelt in JSON must not widen a filter, or turn a dry run into a real one.
    router.service(AdminService, createAdminRoutes(context), { jsonOptions: { ignoreUnknownFields: false } });
  };
}
