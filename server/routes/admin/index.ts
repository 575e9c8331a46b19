import type { ServiceImpl } from '@connectrpc/connect';
import type { AdminService } from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { type AdvanceRolloutDeps, createAdvanceRollout } from './advance-rollout.ts';
import { createEraseUser, type EraseUserDeps } from './erase-user.ts';
import { createGetExperimentReport, type GetExperimentReportDeps } from './get-experiment-report.ts';
import { createGetModelCard, type GetModelCardDeps } from './get-model-card.ts';
import { createInspectFeatures, type InspectFeaturesDeps } from './inspect-features.ts';
import { createListDeadLetters, type ListDeadLettersDeps } from './list-dead-letters.ts';
import { createListExperiments, type ListExperimentsDeps } from './list-experiments.ts';
import { createListModels, type ListModelsDeps } from './list-models.ts';
import { createListPolicies, type ListPoliciesDeps } from './list-policies.ts';
import { createListRollouts, type ListRolloutsDeps } from './list-rollouts.ts';
import { createPutExperiments, type PutExperimentsDeps } from './put-experiments.ts';
import { createReplayDeadLetters, type ReplayDeadLettersDeps } from './replay-dead-letters.ts';
import { createRewardAnalytics, type RewardAnalyticsDeps } from './reward-analytics.ts';
import { createRollBack, type RollBackDeps } from './roll-back.ts';

/** All that the methods below need; each declares its own. */
export type AdminDeps = AdvanceRolloutDeps &
  EraseUserDeps &
  GetExperimentReportDeps &
  GetModelCardDeps &
  InspectFeaturesDeps &
  ListDeadLettersDeps &
  ListExperimentsDeps &
  ListModelsDeps &
  ListPoliciesDeps &
  ListRolloutsDeps &
  PutExperimentsDeps &
  ReplayDeadLettersDeps &
  RewardAnalyticsDeps &
  RollBackDeps;

/** The operator's methods, one file for each. */
export function createAdminRoutes(context: AdminDeps): Partial<ServiceImpl<typeof AdminService>> {
  return {
    advanceRollout: createAdvanceRollout(context),
    eraseUser: createEraseUser(context),
    getExperimentReport: createGetExperimentReport(context),
    getModelCard: createGetModelCard(context),
    inspectFeatures: createInspectFeatures(context),
    listDeadLetters: createListDeadLetters(context),
    listExperiments: createListExperiments(context),
    listModels: createListModels(context),
    listPolicies: createListPolicies(context),
    listRollouts: createListRollouts(context),
    putExperiments: createPutExperiments(context),
    replayDeadLetters: createReplayDeadLetters(context),
    rewardAnalytics: createRewardAnalytics(context),
    rollBack: createRollBack(context),
  };
}
