import type { ServiceImpl } from '@connectrpc/connect';
import type { AdminService } from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { createEraseUser, type EraseUserDeps } from './erase-user.ts';
import { createInspectFeatures, type InspectFeaturesDeps } from './inspect-features.ts';
import { createListDeadLetters, type ListDeadLettersDeps } from './list-dead-letters.ts';
import { createReplayDeadLetters, type ReplayDeadLettersDeps } from './replay-dead-letters.ts';

/** All that the methods below need; each declares its own. */
export type AdminDeps = EraseUserDeps & InspectFeaturesDeps & ListDeadLettersDeps & ReplayDeadLettersDeps;

/** The operator's methods, one file for each. Those that are not here yet answer UNIMPLEMENTED. */
export function createAdminRoutes(context: AdminDeps): Partial<ServiceImpl<typeof AdminService>> {
  return {
    eraseUser: createEraseUser(context),
    inspectFeatures: createInspectFeatures(context),
    listDeadLetters: createListDeadLetters(context),
    replayDeadLetters: createReplayDeadLetters(context),
  };
}
