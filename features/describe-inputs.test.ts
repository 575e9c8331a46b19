import { expect, it } from 'vitest';
import { profileFeatures } from '../gen/proto/oo/contract.ts';
import { describeInputs, inputDescriptions } from './describe-inputs.ts';
import { encodeVectors, unit, vectorNames } from './vector.ts';

it('says of every entry of a vector what it is, in its order', () => {
  expect(inputDescriptions.map(({ name }) => name)).toEqual(vectorNames);
  for (const { definition, unit, source } of inputDescriptions)
    for (const said of [definition, unit, source]) expect(said).toMatch(/^\S.*\S$/);
});

it('takes from the contract what the contract says', () => {
  for (const { name, description, ttlMs, nullFallback, invalidatedBy } of profileFeatures) {
    const [found] = describeInputs([name]);
    expect(found).toMatchObject({ maxAgeMs: ttlMs, nullFallback });
    expect(found?.definition.startsWith(description)).toBe(true);
    for (const subject of invalidatedBy) expect(found?.source).toContain(subject);
  }
});

it('names the bounds that the encoding keeps, whatever comes', () => {
  const extremes = [-1, 0, 1, 1e9];
  for (const value of extremes) {
    const profile = profileFeatures.map(({ name }) => ({
      name,
      value: name.endsWith('rate_30d') ? Math.min(1, Math.max(0, value)) : Math.max(0, value),
    }));
    const candidate = { isOverdue: value > 0, taskAgeDays: Math.max(0, value), priority: value > 0 ? 4 : 1 };
    for (let hourOfDay = 0; hourOfDay < 24; hourOfDay += 3) {
      const moment = { hourOfDay, dayOfWeek: hourOfDay % 7 };
      const [vector = []] = encodeVectors([candidate], profile as never, moment as never);
      for (const [i, { low, high, name }] of inputDescriptions.entries()) {
        const entry = (vector[i] ?? Number.NaN) * unit;
        expect(entry >= low && entry <= high, `${name} is ${entry}`).toBe(true);
      }
    }
  }
});

it('knows no entry that is none', () => {
  expect(() => describeInputs(['mood'])).toThrow('vectors have no entry mood');
});
