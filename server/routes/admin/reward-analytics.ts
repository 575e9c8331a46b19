import { create } from '@bufbuild/protobuf';
import type { RewardDimension as DimensionName } from '../../../experiments/reward-analytics.ts';
import { readRewards } from '../../../experiments/reward-analytics-store.ts';
import {
  type RewardAnalyticsRequest,
  type RewardAnalyticsResponse,
  RewardAnalyticsResponseSchema,
  RewardDimension,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { type Clock, utcDay } from '../../../platform/clock.ts';
import type { Database } from '../../../platform/database.ts';
import { invalidArgument } from '../../../platform/errors.ts';

export interface RewardAnalyticsDeps {
  readonly database: Pick<Database, 'query'>;
  readonly clock: Clock;
}

const daysDefault = 30;

/** What people did with the tips of the last days, by what is counted now. */
export function createRewardAnalytics({ database, clock }: RewardAnalyticsDeps) {
  return async ({ days = daysDefault, dimension }: RewardAnalyticsRequest): Promise<RewardAnalyticsResponse> => {
    const name = dimensions[dimension];
    if (name === undefined) throw invalidArgument([{ field: 'dimension', description: 'must be said' }]);
    const toDay = utcDay(clock());
    const rows = await readRewards(database, { dimension: name, fromDay: toDay - days + 1, toDay });
    return create(RewardAnalyticsResponseSchema, {
      rows: rows.map(({ key, reactionRate, meanReward, interval, ...counts }) => ({
        ...{ key, reactionRate },
        served: BigInt(counts.served),
        done: BigInt(counts.done),
        dismissed: BigInt(counts.dismissed),
        snoozed: BigInt(counts.snoozed),
        helpful: BigInt(counts.helpful),
        notHelpful: BigInt(counts.notHelpful),
        ...(meanReward !== undefined && { meanReward }),
        ...(interval && { meanRewardLow: interval.lower, meanRewardHigh: interval.upper }),
      })),
    });
  };
}

const dimensions: Readonly<Record<RewardDimension, DimensionName | undefined>> = {
  [RewardDimension.UNSPECIFIED]: undefined, // refused by the contract's rules
  [RewardDimension.DAY]: 'day',
  [RewardDimension.POLICY]: 'policy',
  [RewardDimension.MODEL]: 'model',
  [RewardDimension.PROMPT_VERSION]: 'prompt_version',
  [RewardDimension.KIND]: 'kind',
  [RewardDimension.EXPERIMENT_ARM]: 'experiment_arm',
};
