/**
 * `npm run rollout [-- show|advance|back|retire|history …]`: where policies stand on their way to people, and the steps of
 * it (docs/rollouts.md). Asks a server, so that its rules hold and its log says who. Ends with 1 if a step is refused or the
 * server cannot be asked.
 */
import { createClient, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { AdminService } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { readArguments } from './arguments.ts';
import { explain } from './explain.ts';
import { readRolloutCommand, rolloutUsage } from './rollout-command.ts';
import { explainFailure } from './rollout-failures.ts';
import { runRollout } from './rollout-run.ts';

const { command, url, key } = readArguments(rolloutUsage, () => {
  const key = process.env.OO_API_KEY?.trim() || undefined;
  if (key !== undefined && !/^[\x21-\x7e]+$/.test(key))
    throw new Error('OO_API_KEY holds no key: one is a single word');
  return { ...readRolloutCommand(process.argv.slice(2)), key };
});

const interceptors = key === undefined ? [] : [bearer(key)];
const transport = createGrpcTransport({ baseUrl: url, interceptors, defaultTimeoutMs: 15_000 });

await runRollout(createClient(AdminService, transport), command).catch((error) => {
  const why = explainFailure(error, { url, hasKey: key !== undefined, kind: command.kind });
  process.stderr.write(`${why ?? explain(error)}\n`);
  process.exitCode = 1;
});

function bearer(key: string): Interceptor {
  return (next) => (request) => {
    request.header.set('authorization', `Bearer ${key}`);
    return next(request);
  };
}
