import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { figure, modelCardOf, policyCardOf } from '../tests/_util/cards.ts';
import { cardHash, type Evaluation, type ModelCard, policyHash, publishedCardSchema, readCard } from './card.ts';

const subject = { policy: 'softmax', version: '1' };
const card = modelCardOf();
const asJson = (value: unknown) => JSON.parse(JSON.stringify(value));

const problemsOf = (input: unknown) => {
  const read = readCard(input);
  return read.kind === 'card' ? [] : read.violations.map(({ field, description }) => `${field} ${description}`);
};

/** Something deep in a card, replaced. Undefined: left out. */
function change(path: string, value: unknown, of: unknown = card): unknown {
  const copy = asJson(of);
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  const place = keys.reduce((each, key) => each[key], copy);
  if (value === undefined) delete place[last];
  else place[last] = value;
  return copy;
}

describe('a card', () => {
  it.each<[string, ModelCard]>([
    ['of a model', card],
    ['of a policy of the build', policyCardOf(subject)],
    [
      'of a model of which nobody knows what it was trained on',
      { ...card, training: { kind: 'elsewhere', says: 'a' } },
    ],
    ['that says that nothing was measured', { ...card, evaluation: null }],
  ])('%s is read as it is', (_, given) => {
    expect(readCard(asJson(given))).toEqual({ kind: 'card', card: given });
  });

  it.each<[string, unknown, string]>([
    ['what is none', 'text', ' must be an object'],
    ['nothing', null, ' must be an object'],
    ['another schema', change('schema', 2), 'schema must be 1'],
    ['no purpose', change('purpose', undefined), 'purpose must be a string'],
    ['an empty purpose', change('purpose', ''), 'purpose must not be empty'],
    ['a purpose of two lines', change('purpose', 'a\nb'), 'purpose must be one line'],
    ['nobody who answers for it', change('owner', ''), 'owner must not be empty'],
    ['no known weakness', change('weaknesses', []), 'weaknesses must say what it does badly'],
    ['what nobody knows', change('licence', 'MIT'), 'licence is unknown'],
    ['a hash that is none', change('model.hash', 'x'), 'model.hash must be a SHA-256'],
    ['another kind', change('model.kind', 'pickle'), 'model.kind must be one of'],
    ['a number that is none', change('inputs.0.low', 'x'), 'inputs[0].low must be a finite number'],
    ['an input without definition', change('inputs.0.definition', ''), 'inputs[0].definition must not be empty'],
    ['another training', change('training.kind', 'x'), 'training.kind must be of kind trained'],
    [
      'training data without digest',
      change('training.data.sha256', undefined),
      'training.data.sha256 must be a string',
    ],
    ['an instant that is none', change('training.window.from', 'x'), 'training.window.from must be an instant'],
    ['too large a share', change('evaluation.heldOutShare', 2), 'evaluation.heldOutShare must be from 0 to 1'],
    [
      'a figure without its interval',
      change('evaluation.errors.rmse', { value: 0.4, people: 10 }),
      'evaluation.errors.rmse.low must be a finite number',
    ],
    [
      'a figure that is outside of its interval',
      change('evaluation.errors.rmse', { ...figure(0.4), low: 0.5 }),
      'evaluation.errors.rmse.value is 0.4, outside of its own interval, 0.5 to 0.42',
    ],
    [
      'a figure that is missing and does not say why',
      change('evaluation.errors.rmse', { value: null }),
      'evaluation.errors.rmse.reason must be a string',
    ],
    [
      'a difference between groups without interval',
      change('evaluation.fairness.0.reward.difference', { value: 0.1, people: 10, high: 0.2 }),
      'evaluation.fairness[0].reward.difference.low must be a finite number',
    ],
    ['a latency without 99 of 100', change('latency.p99Ms', undefined), 'latency.p99Ms must be a finite number'],
    ['a share over 1', change('log.agreement', 1.2, policyCardOf(subject)), 'log.agreement must be from 0 to 1'],
  ])('with %s is refused, and says which field', (_, given, expected) => {
    expect(problemsOf(given)).toEqual(expect.arrayContaining([expect.stringContaining(expected)]));
    expect(problemsOf(given).length).toBeLessThan(3);
  });

  it('has a hash of all that is on it, whatever the order', () => {
    const reversed = Object.fromEntries(Object.entries(card).toReversed()) as unknown as ModelCard;
    expect(cardHash(reversed)).toBe(cardHash(card));
    for (const other of [{ owner: 'x' }, { purpose: 'x' }, { evaluation: null }, { weaknesses: ['x'] }])
      expect(cardHash({ ...card, ...other })).not.toBe(cardHash(card));
    expect(policyHash(subject)).not.toBe(policyHash({ ...subject, version: '2' }));
  });

  it('takes an evaluation as training makes it, with every list read-only', () => {
    const made: Evaluation = Object.freeze({ ...(card.evaluation as Evaluation), calibration: Object.freeze([]) });
    expect(problemsOf({ ...card, evaluation: made })).toEqual([]);
  });
});

describe('the published schema', () => {
  const committed = JSON.parse(readFileSync(new URL('./card.schema.json', import.meta.url), 'utf8'));

  it('is what the code reads: npm run card:schema', () => {
    expect(committed).toEqual(asJson(publishedCardSchema()));
  });

  it('says the same of cards as the code does', () => {
    const ajv = new Ajv2020({ allErrors: true });
    formats.default(ajv);
    const validate = ajv.compile(committed);
    const given = [card, policyCardOf(subject), change('purpose', ''), change('licence', 1), change('weaknesses', [])];
    expect(given.map((each) => validate(asJson(each)))).toEqual([true, true, false, false, false]);
  });
});
