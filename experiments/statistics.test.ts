import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { vectorNames, vectorVersion } from '../features/vector.ts';
import { LinearStatisticsSchema } from '../gen/proto/oo/events/v1/decisions_pb.ts';
import { add, contributionOf, noStatistics } from './linear-model.ts';
import { rewards } from './rewards.ts';
import { nothingLearnt, ofLogged, statisticsVersion, toLogged, unpackStatistics } from './statistics.ts';

const nothing = noStatistics(vectorNames.length);
const learnt = [-300, 1000, 500]
  .map(
    (milli, k) =>
      contributionOf(
        vectorNames.map((_, i) => 37 * i - 200 * k),
        milli,
      ) ?? nothing,
  )
  .reduce(add);

describe('sums', () => {
  it('come back from a decision event as they went in, negative ones too', () => {
    expect(ofLogged(create(LinearStatisticsSchema, toLogged(learnt)))).toEqual(learnt);
    expect(learnt.xy.some((each) => each < 0)).toBe(true);
  });

  it('that are not there are nothing learnt', () => {
    expect([ofLogged(undefined), unpackStatistics(null)]).toEqual([nothing, nothing]);
    expect(nothingLearnt).toEqual(nothing);
  });

  it('belong together only where vectors and rewards are of the same versions', () => {
    expect(statisticsVersion.split('/')).toEqual([vectorVersion, rewards.version]);
  });
});
