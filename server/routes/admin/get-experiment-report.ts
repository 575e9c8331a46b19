import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { Difference, Direction as DirectionName } from '../../../experiments/analysis/difference.ts';
import type { BanditReport, ExperimentReport } from '../../../experiments/analysis/report.ts';
import { readReport } from '../../../experiments/report-store.ts';
import { toTimestamp } from '../../../features/time.ts';
import {
  type ArmDifferenceSchema,
  type BanditReportSchema,
  Direction,
  type GetExperimentReportRequest,
  type GetExperimentReportResponse,
  GetExperimentReportResponseSchema,
  type MetricReportSchema,
} from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import type { Database } from '../../../platform/database.ts';
import { invalidArgument } from '../../../platform/errors.ts';
import { findExperiment } from '../../find-experiment.ts';

export interface GetExperimentReportDeps {
  readonly database: Pick<Database, 'query'>;
}

/** How the arms of an experiment differ, by what is counted now. */
export function createGetExperimentReport({ database }: GetExperimentReportDeps) {
  return async ({ experiment, version, control }: GetExperimentReportRequest): Promise<GetExperimentReportResponse> => {
    for (const [field, value] of Object.entries({ experiment, version })) {
      if (value.includes('\0')) throw invalidArgument([{ field, description: 'must not hold U+0000' }]);
    }
    const request = { experiment, version: version || undefined, control: control || undefined };
    const report = await readReport(database, request, findExperiment(database));
    const { arms, peopleInSeveralArms, sampleRatio } = report;
    return create(GetExperimentReportResponseSchema, {
      experiment,
      version: report.experiment.version,
      control: report.control,
      arms: arms.map(({ arm, share, sums: { people, d, rewards, r } }) => ({
        ...{ arm, share, people, decisions: d, rewards, rewardMilli: r },
      })),
      peopleInSeveralArms: BigInt(peopleInSeveralArms),
      sampleRatio: {
        chiSquare: sampleRatio.chiSquare,
        pValue: sampleRatio.pValue,
        alarm: sampleRatio.alarm,
      },
      metrics: report.metrics.map(toMetric),
      ...(report.bandit && { bandit: toBandit(report.bandit) }),
    });
  };
}

const directions: Readonly<Record<DirectionName, Direction>> = {
  better: Direction.BETTER,
  worse: Direction.WORSE,
  unclear: Direction.UNCLEAR,
};

function toBandit({ epoch, measuredAtMs, arms }: BanditReport): MessageInitShape<typeof BanditReportSchema> {
  return {
    policy: epoch.policy,
    policyVersion: epoch.policyVersion,
    measurement: epoch.measurement,
    ...(measuredAtMs !== undefined && { measuredAt: toTimestamp(measuredAtMs) }),
    arms: arms.map(({ arm, probability, requests, people, tips, rewardMilli }) => ({
      ...{ arm, probability, requests: BigInt(requests), people: BigInt(people), tips: BigInt(tips) },
      rewardMilli: BigInt(rewardMilli),
    })),
  };
}

function toMetric({
  metric,
  analysis,
}: ExperimentReport['metrics'][number]): MessageInitShape<typeof MetricReportSchema> {
  return {
    metric: metric.name,
    unit: metric.unit,
    means: analysis.arms.map(({ arm, mean, interval }) => ({
      arm,
      ...(mean !== undefined && { mean }),
      ...(interval && { interval }),
    })),
    comparisons: analysis.comparisons.map(({ arm, absolute, relative, adjusted, direction }) => ({
      arm,
      ...(absolute && { absolute: toDifference(absolute) }),
      ...(relative && { relative: toDifference(relative) }),
      direction: directions[direction],
      ...(adjusted && { adjusted: toDifference(adjusted), varianceCut: adjusted.varianceCut }),
    })),
  };
}

function toDifference({
  value,
  standardError,
  fixed,
  alwaysValid,
}: Difference): MessageInitShape<typeof ArmDifferenceSchema> {
  return { value, standardError, fixed, ...(alwaysValid && { alwaysValid }) };
}
