import { describe, expect, it } from 'vitest';
import { compareGolden, readGolden } from './golden.ts';

const columns = 2;

describe('a golden batch', () => {
  it('is rows and an output for each', () => {
    const reading = readGolden(
      {
        inputs: [
          [1, 2],
          [3, -0.5],
        ],
        outputs: [0.1, 0.2],
        by: 'someone',
      },
      columns,
    );
    expect(reading).toEqual({ kind: 'golden', golden: { rows: Float32Array.of(1, 2, 3, -0.5), outputs: [0.1, 0.2] } });
  });

  const rows = (count: number) => ({ inputs: Array(count).fill([0, 0]), outputs: Array(count).fill(0) });

  it('may have a thousand rows', () => expect(readGolden(rows(1_000), columns).kind).toBe('golden'));

  it.each([
    [undefined, 'golden', /no {"inputs"/],
    [null, 'golden', /no {"inputs"/],
    [[], 'golden', /docs\/models.md/],
    ['{"inputs":[],"outputs":[]}', 'golden', /no {"inputs"/],
    [{ inputs: [[1, 2]] }, 'golden', /no {"inputs"/],
    [rows(0), 'golden.inputs', /0 rows: give 1 to 1000/],
    [rows(1_001), 'golden.inputs', /1001 rows/],
    [{ inputs: [[1, 2]], outputs: [] }, 'golden.outputs', /0 entries, and there are 1 rows/],
    [{ inputs: [[1, 2]], outputs: [1, 2] }, 'golden.outputs', /2 entries/],
    [{ inputs: [[1, 2], [1]], outputs: [1, 2] }, 'golden.inputs[1]', /1 entries: give 2/],
    [{ inputs: [[1, 2], 7], outputs: [1, 2] }, 'golden.inputs[1]', /no entries/],
    [{ inputs: [[1, null]], outputs: [1] }, 'golden.inputs[0][1]', /"null" is no finite float/],
    [{ inputs: [[1, '2']], outputs: [1] }, 'golden.inputs[0][1]', /no finite float/],
    [{ inputs: [[1, 1e39]], outputs: [1] }, 'golden.inputs[0][1]', /1e\+39" is no finite float/],
    [{ inputs: [[1, 2]], outputs: [Number.NaN] }, 'golden.outputs[0]', /no finite float/],
    [{ inputs: [[1, 2]], outputs: [[1]] }, 'golden.outputs[0]', /no finite float/],
  ])('is not %j', (value, field, message) => {
    expect(readGolden(value, columns)).toMatchObject({
      kind: 'refused',
      reason: 'GOLDEN_INVALID',
      field,
      message: expect.stringMatching(message),
    });
  });
});

describe('parity', () => {
  const golden = { rows: new Float32Array(4), outputs: [0.5, 1000] };

  it.each([
    [[0.5, 1000]],
    [[0.50005, 1000.09]], // 1e-5 and a ten thousandth
    [[0.49995, 999.91]],
  ])('holds for %j', (scores) => expect(compareGolden(golden, scores, 'alone')).toBeUndefined());

  it.each([
    [[0.50007, 1000], 0],
    [[0.49993, 1000], 0],
    [[0.5, 1000.2], 1],
    [[0.5, Number.NaN], 1],
    [[0.5], 1],
    [[-0.5, 1000], 0],
  ])('is broken by %j, and the row is named', (scores, row) => {
    expect(compareGolden(golden, scores, 'alone')).toEqual({
      reason: 'GOLDEN_DIFFERS',
      field: `golden.outputs[${row}]`,
      message: expect.stringContaining(`expected ${golden.outputs[row]}, got ${scores[row]} alone: train on float32`),
    });
  });
});
