import { describe, expect, it } from 'vitest';
import { vectorInputs } from '../features/vector.ts';
import { DomainError } from '../platform/errors.ts';
import { manifestOf } from '../tests/_util/models.ts';
import { type Manifest, parseManifest, versionHash } from './model.ts';

const feed = { inputs: vectorInputs, rewardVersion: '2' };

function problemsOf(input: unknown): readonly string[] {
  try {
    parseManifest(input, feed);
    return [];
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return (error.violations ?? []).map(({ field, description }) => `${field} ${description}`);
  }
}

const [hourSin] = vectorInputs;
const onnx = { kind: 'onnx', use: 'prediction', weights: null } as const;
const content = { sha256: 'a'.repeat(64), bytes: 1 };

describe('a manifest', () => {
  it.each<[string, Partial<Manifest>]>([
    ['of a linear model', {}],
    ['of a linear model that reads less', { inputs: vectorInputs.slice(3, 5) }],
    ['of a logistic model that is asked', { kind: 'logistic', use: 'prediction', weights: null }],
    ['of a logistic model whose closest linear one is the prior', { kind: 'logistic' }],
    ['of a model from elsewhere', { ...onnx, goldenBatch: content }],
    ['of a model of which nobody knows what it was trained on', { data: null }],
    ['of a model that was trained on nothing', { data: { ...content, rows: 0, asOf: '2026-01-01T00:00:00.5Z' } }],
  ])('%s is taken as it is', (_, changes) => {
    expect(parseManifest(manifestOf(changes), feed)).toEqual(manifestOf(changes));
  });

  it.each<[string, object, string]>([
    [
      'a feature that is unknown',
      { inputs: [{ ...hourSin, name: 'mood' }] },
      'inputs[0].name is mood, which vectors do',
    ],
    [
      'a feature of another type',
      { inputs: [{ ...hourSin, type: 'text' }] },
      'inputs[0].type is text, and hour_sin is',
    ],
    [
      'a feature encoded otherwise',
      { inputs: [{ ...hourSin, encoding: '0' }] },
      'inputs[0].encoding is 0, and hour_sin',
    ],
    ['a feature twice', { inputs: [hourSin, hourSin] }, 'inputs[1].name is hour_sin once more'],
    ['no features', { inputs: [] }, 'inputs must not be empty'],
    ['other rewards', { rewardVersion: '1' }, 'rewardVersion is 1, and rewards are of version 2 by now'],
    [
      'more weights than entries',
      { weights: { mean: Array(13).fill(0), noise: 1, noiseCount: 1 } },
      'weights.mean has 13',
    ],
    [
      'a weight that is no number',
      { weights: { mean: [Number.NaN], noise: 1, noiseCount: 1 } },
      'weights.mean[0] must be',
    ],
    ['an infinite weight', { weights: { mean: [1 / 0], noise: 1, noiseCount: 1 } }, 'weights.mean[0] must be'],
    ['no noise', { weights: { mean: [0], noise: 0, noiseCount: 1 } }, 'weights.noise must be more than 0'],
    ['a prior without weights', { weights: null }, 'weights must be there'],
    ['a linear model that is asked', { use: 'prediction' }, 'use must be prior'],
    ['a foreign model without golden batch', onnx, 'goldenBatch must be there'],
    ['an artifact that is too large', { artifact: { ...content, bytes: 2 ** 26 } }, 'artifact.bytes must be at most'],
    ['an empty artifact', { artifact: { ...content, bytes: 0 } }, 'artifact.bytes must not be 0'],
    [
      'a digest that is none',
      { artifact: { sha256: '../../etc/passwd', bytes: 1 } },
      'artifact.sha256 must be a SHA-256',
    ],
    ['a name that is a path', { model: '../reward' }, 'model must be 1 to 32 of'],
    ['a name that could be a policy of the build', { model: 'Egreedy.2' }, 'model must be 1 to 32 of'],
    ['a name that is too long', { model: 'm'.repeat(33) }, 'model must be 1 to 32 of'],
    ['another kind', { kind: 'pickle' }, 'kind must be one of linear, logistic, onnx'],
    ['another schema', { schema: 2 }, 'schema must be 1'],
    ['what nobody knows', { licence: 'MIT' }, 'licence is unknown'],
    [
      'a hyperparameter that is no number',
      { explorer: { name: 'egreedy', hyperparameters: { epsilon: '1' } } },
      'explorer.hyperparameters.epsilon must be a finite number',
    ],
    ['an instant that is none', { data: { ...content, rows: 1, asOf: 'yesterday' } }, 'data.asOf must be an instant'],
    ['rows by halves', { data: { ...content, rows: 0.5, asOf: '2026-01-01T00:00:00Z' } }, 'data.rows must be a whole'],
    ['free text for code', { code: 'a\nb' }, 'code must be printable ASCII'],
    ['a parameter that is a list', { parameters: { lambda: [1] } }, 'parameters.lambda must be a string, a number'],
  ])('with %s is refused, and says which field', (_, changes, problem) => {
    expect(problemsOf({ ...manifestOf(), ...changes })).toEqual([expect.stringContaining(problem)]);
  });

  it.each([null, 1, 'text', [], undefined])('that is %j is refused', (input) => {
    expect(problemsOf(input)).toEqual([expect.stringContaining('must be an object')]);
  });

  it('is refused with all that is wrong', () => {
    const wrong = { ...manifestOf(), model: '', rewardVersion: '', code: '' };
    expect(problemsOf(wrong)).toHaveLength(3);
  });
});

describe('the hash of a version', () => {
  it('changes with each part of the manifest, and with nothing else', () => {
    const others: Partial<Manifest>[] = [
      { model: 'other' },
      { inputs: vectorInputs.slice(1) },
      { inputs: vectorInputs.toReversed() },
      { rewardVersion: '3' },
      { artifact: content },
      { goldenBatch: content },
      { weights: null },
      { explorer: { name: 'egreedy', hyperparameters: { epsilon: 0.2 } } },
      { data: null },
      { code: 'other' },
      { parameters: {} },
    ];
    const hashes = [{}, ...others].map((changes) => versionHash(manifestOf(changes)));
    expect(new Set(hashes).size).toBe(others.length + 1);
    const reversed = Object.fromEntries(Object.entries(manifestOf()).toReversed()) as unknown as Manifest;
    expect(versionHash(reversed)).toBe(hashes[0]);
    expect(versionHash(JSON.parse(JSON.stringify(manifestOf())))).toBe(hashes[0]);
  });
});
