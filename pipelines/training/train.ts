import { type Artifact, predictReward, versionOfArtifact, writeArtifact } from '../../experiments/models/artifact.ts';
import { fitLinear, type Tried } from '../../experiments/models/linear.ts';
import { advance, firstFit, type LogisticFit, startPass, toLogistic } from '../../experiments/models/logistic.ts';
import { startRowSums, type TrainingRow } from '../../experiments/models/sums.ts';
import { type Surrogate, startSurrogate } from '../../experiments/models/surrogate.ts';
import { vectorVersion } from '../../features/vector.ts';
import { foldOf, heldOutShare, isHeldOut } from './people.ts';
import type { TrainingFile } from './read.ts';

export type ModelKind = Artifact['kind'];

/** What became of the rows of a file. */
export interface RowCounts {
  readonly read: number;
  readonly used: number;
  /** Of people who are held out. */
  readonly heldOut: number;
  /** Of decisions without a known outcome. */
  readonly withoutReward: number;
  /** With vectors of another encoding. */
  readonly otherVectors: number;
  /** With entries or rewards that no row can have. */
  readonly impossible: number;
}

export interface Trained {
  readonly artifact: Artifact;
  /** The artifact, as it is stored. */
  readonly text: string;
  readonly version: string;
  readonly rows: RowCounts;
  /** Of a linear model: each strength that was tried on people whom the fit had not seen. */
  readonly tried: readonly Tried[];
  /** What stands in for another kind of model where a policy wants a prior. */
  readonly surrogate: Surrogate | undefined;
}

export interface TrainOptions {
  /** Of the people. Default: a fifth. */
  readonly heldOut?: number;
}

const folds = 5;

/**
 * Trains a model on the rows of a file whose outcome is known, but for the people that are held out. Every row counts once,
 * whatever its propensity: see docs/training.md. Memory holds one row group; a linear model reads the file once, a logistic
 * one once for each step. The same rows give the same artifact, byte for byte. Throws RefusedFile, RefusedRows, RefusedSums.
 */
export async function train(
  file: TrainingFile,
  kind: ModelKind,
  { heldOut = heldOutShare }: TrainOptions = {},
): Promise<Trained> {
  const selection = startSelection(file, heldOut);
  return kind === 'linear' ? trainLinear(selection) : trainLogistic(selection);
}

async function trainLinear({ rows, counts }: Selection): Promise<Trained> {
  const sums = Array.from({ length: folds }, startRowSums);
  for await (const row of rows()) if (!sums[foldOf(row.person, folds)]?.add(row)) counts.impossible++;
  const { artifact, tried } = fitLinear(sums.map((each) => each.read()));
  return toTrained(artifact, counts, { tried });
}

async function trainLogistic({ rows, counts }: Selection): Promise<Trained> {
  let fit: LogisticFit = firstFit;
  for (;;) {
    const pass = startPass(fit.weights);
    for await (const row of rows()) if (!pass.add(row)) counts.impossible++;
    const sums = pass.read();
    fit = advance(fit, sums);
    if (fit.kind === 'running') continue;
    const artifact = toLogistic(fit, sums);
    const surrogate = startSurrogate((vector) => predictReward(artifact, vector));
    for await (const row of rows()) if (!surrogate.add(row)) counts.impossible++;
    return toTrained(artifact, counts, { surrogate: surrogate.fit() });
  }
}

function toTrained(
  artifact: Artifact,
  counts: Counts,
  { tried = [], surrogate }: Partial<Pick<Trained, 'tried' | 'surrogate'>>,
): Trained {
  const rows = { ...counts, used: artifact.rows };
  return { artifact, text: writeArtifact(artifact), version: versionOfArtifact(artifact), rows, tried, surrogate };
}

type Counts = { -readonly [Name in keyof Omit<RowCounts, 'used'>]: number };

interface Selection {
  rows(): AsyncGenerator<TrainingRow & { readonly person: string }>;
  /** By the last reading. */
  readonly counts: Counts;
}

function startSelection(file: TrainingFile, heldOut: number): Selection {
  const counts: Counts = { read: 0, heldOut: 0, withoutReward: 0, otherVectors: 0, impossible: 0 };
  return {
    counts,
    async *rows() {
      Object.assign(counts, { read: 0, heldOut: 0, withoutReward: 0, otherVectors: 0, impossible: 0 });
      for await (const row of file.read(['person', 'vector', 'vector_version', 'reward_milli'])) {
        const { person, vector, reward_milli: rewardMilli } = row;
        counts.read++;
        if (isHeldOut(person, heldOut)) counts.heldOut++;
        else if (rewardMilli === null) counts.withoutReward++;
        else if (row.vector_version !== vectorVersion) counts.otherVectors++;
        else yield { person, vector, rewardMilli };
      }
    },
  };
}
