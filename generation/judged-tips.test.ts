import { describe, expect, it } from 'vitest';
import {
  badTips,
  droppedGoodTips,
  goodTips,
  type JudgedTip,
  judgedPerson,
  passedBadTips,
} from '../tests/_util/judged-tips.ts';
import { isGrounded } from './grounding.ts';

function passes([locale, cited, content]: JudgedTip): boolean {
  const signalIds = cited === '' ? [] : cited.split(' ');
  return isGrounded({ content, kind: 'advice', rationale: '', signalIds }, { ...judgedPerson, locale });
}

const texts = (tips: readonly JudgedTip[]) => tips.map(([, , content]) => content);

// The known mistakes are named, so that a change shows which tips it wins and loses.
describe('of tips that a person has judged', () => {
  it('the good ones are accepted, but for those that are known not to be', () => {
    expect(texts(goodTips.filter((tip) => !passes(tip)))).toEqual(droppedGoodTips);
  });

  it('the bad ones are dropped, but for those that are known not to be', () => {
    expect(texts(badTips.filter(passes))).toEqual(passedBadTips);
  });

  it('there are enough to tell, each once, in every language whose words are known', () => {
    for (const tips of [goodTips, badTips]) {
      expect(tips.length).toBeGreaterThanOrEqual(200);
      expect(new Set(tips.map((tip) => tip.join())).size).toBe(tips.length);
      expect(new Set(tips.map(([locale]) => locale))).toEqual(new Set(['en', 'de', 'fr', 'nl', 'es', 'it', 'pt']));
    }
  });

  it('few of them are misjudged', () => {
    expect(droppedGoodTips.length / goodTips.length).toBeLessThan(0.03);
    expect(passedBadTips.length / badTips.length).toBeLessThan(0.04);
  });
});
