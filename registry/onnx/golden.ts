import { quoted, type Refusal } from './refusal.ts';

/** Rows, and what the library that trained a model predicts of them: the proof that nothing was lost on the way. */
export interface GoldenBatch {
  readonly rows: Float32Array;
  readonly outputs: readonly number[];
}

export const maxGoldenRows = 1_000;

/**
 * How far a score may lie from the exporter's: by this much, and this share of it. Exporters compute in double, the
 * runtime in float, so sums of some hundred trees differ in the sixth digit; a row that takes another branch, or columns
 * in another order, differ in the first.
 */
export const goldenTolerance = { absolute: 1e-5, relative: 1e-4 } as const;

export type GoldenReading =
  | { readonly kind: 'golden'; readonly golden: GoldenBatch }
  | ({ readonly kind: 'refused' } & Refusal);

/** Reads `{"inputs": [[…], …], "outputs": […]}`: a row of inputs and one output for each, all of them finite. */
export function readGolden(value: unknown, columns: number): GoldenReading {
  const wrong = (field: string, message: string): GoldenReading => ({
    kind: 'refused',
    reason: 'GOLDEN_INVALID',
    field: `golden${field}`,
    message,
  });
  const { inputs, outputs } = (value ?? {}) as { readonly inputs?: unknown; readonly outputs?: unknown };
  if (!Array.isArray(inputs) || !Array.isArray(outputs)) {
    return wrong('', 'it is no {"inputs": [[…], …], "outputs": […]}: write it as docs/models.md says');
  }
  if (inputs.length < 1 || inputs.length > maxGoldenRows) {
    return wrong('.inputs', `it has ${inputs.length} rows: give 1 to ${maxGoldenRows}`);
  }
  if (outputs.length !== inputs.length) {
    return wrong(
      '.outputs',
      `it has ${outputs.length} entries, and there are ${inputs.length} rows: give one for each`,
    );
  }
  for (const [i, row] of inputs.entries()) {
    if (!Array.isArray(row) || row.length !== columns) {
      return wrong(`.inputs[${i}]`, `it has ${Array.isArray(row) ? row.length : 'no'} entries: give ${columns}`);
    }
    const column = row.findIndex((entry) => !isFloat(entry));
    if (column >= 0) return wrong(`.inputs[${i}][${column}]`, `${shown(row[column])} is no finite float`);
  }
  const output = outputs.findIndex((entry) => !isFloat(entry));
  if (output >= 0) return wrong(`.outputs[${output}]`, `${shown(outputs[output])} is no finite float`);
  return {
    kind: 'golden',
    golden: { rows: Float32Array.from(inputs.flat() as number[]), outputs: outputs as number[] },
  };
}

const isFloat = (value: unknown) => typeof value === 'number' && Number.isFinite(Math.fround(value));

const shown = (value: unknown) => quoted(JSON.stringify(value) ?? String(value));

/** Undefined: every score is what the exporter said. */
export function compareGolden({ outputs }: GoldenBatch, scores: ArrayLike<number>, how: string): Refusal | undefined {
  const { absolute, relative } = goldenTolerance;
  const row = outputs.findIndex((output, i) => {
    const difference = Math.abs((scores[i] ?? Number.NaN) - output);
    return !(difference <= absolute + relative * Math.abs(output));
  });
  if (row < 0) return undefined;
  const differ = `expected ${outputs[row]}, got ${scores[row]} ${how}`;
  const advice =
    'train on float32 features, since thresholds of trees are rounded to it, and compare the order of the columns';
  return { reason: 'GOLDEN_DIFFERS', field: `golden.outputs[${row}]`, message: `${differ}: ${advice}` };
}
