import { type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { vectorNames, vectorVersion } from '../../features/vector.ts';
import { personFeatures, profileFeatures } from '../../gen/proto/oo/contract.ts';
import { PersonFeaturesSchema, ProfileFeaturesSchema } from '../../gen/proto/oo/features/v1/features_pb.ts';
import type { TrainingExample } from '../training-set.ts';

/** What a column holds, as the Parquet file says it. Times are in milliseconds UTC. */
export type ColumnType =
  | 'string'
  | 'boolean'
  | 'int32'
  | 'int64'
  | 'double'
  | 'timestamp'
  | 'strings'
  | 'int32s'
  | 'doubles';

export type Cell = string | boolean | number | bigint | Date | readonly string[] | readonly number[] | null;

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly isNullable: boolean;
  /** For the file's metadata. */
  readonly meaning: string;
  readonly of: (example: TrainingExample) => Cell;
}

/** Changes with the names, types and meanings of the columns. */
export const schemaVersion = '1';

export type Features = 'profile' | 'all';

/** The columns of a training set, in order. */
export function columnsOf(features: Features): readonly Column[] {
  return [...ofDecision, ...featureColumns(features), ...ofOutcome, ...ofCandidates];
}

const unitsNote = `entries in the order of oo.vector_names where vector_version is ${vectorVersion}, in units of 2^-12`;

const always = (name: string, type: ColumnType, meaning: string, of: Column['of']): Column => ({
  ...{ name, type, isNullable: false, meaning, of },
});
const sometimes = (name: string, type: ColumnType, meaning: string, of: Column['of']): Column => ({
  ...{ name, type, isNullable: true, meaning, of },
});

const ofDecision: readonly Column[] = [
  always('person', 'string', 'pseudonym: 128 bits of SHA-256 of the id, in hexadecimal', ({ person }) => person),
  always('decision_id', 'string', 'UUID of the decision', ({ row }) => row.decision_id),
  always('decided_at', 'timestamp', 'when it was decided', ({ row }) => new Date(row.decided_at)),
  always('policy', 'string', 'name of the policy that decided', ({ row }) => row.policy),
  always('policy_version', 'string', 'its version, with all hyperparameters', ({ row }) => row.policy_version),
  sometimes('model_version', 'string', 'prior that it started from', ({ row }) => row.model_version),
  always('tip_kind', 'string', 'kind of the tip that was chosen', ({ row }) => row.tip_kind),
  always('tip_source', 'string', 'source of that tip', ({ row }) => row.tip_source),
  sometimes('llm_model', 'string', 'language model that wrote it', ({ row }) => row.llm_model),
  sometimes('prompt_version', 'string', 'prompt that it was written by', ({ row }) => row.prompt_version),
  always('hour_of_day', 'int32', "hour of the person's own day, 0 to 23", ({ hourOfDay }) => hourOfDay),
  always('time_zone_area', 'string', 'first part of the time zone', ({ timeZoneArea }) => timeZoneArea),
  sometimes(
    'tenure_days',
    'int32',
    "whole days since the person's first event that is still stored; null: nothing was read",
    ({ tenureDays }) => tenureDays,
  ),
  always('score', 'double', "the policy's estimate for the tip that was chosen", ({ row }) => row.score),
  always('propensity', 'double', 'probability with which it was chosen', ({ row }) => row.propensity),
  always('vector_version', 'string', 'encoding of the vectors', ({ vectorVersion }) => vectorVersion),
  always('vector', 'int32s', `vector of the tip that was chosen: ${unitsNote}`, ({ row }) => row.vector),
  always('verified', 'boolean', 'whether recomputing the decision gave what was logged', ({ row }) => row.verified),
  always('degradations', 'strings', 'what the decision had to do without', ({ row }) => row.degradations),
];

const ofOutcome: readonly Column[] = [
  sometimes('outcome', 'string', 'reaction that counts, or ignored; null: none is known', ({ row }) => row.outcome),
  sometimes('outcome_at', 'timestamp', 'when', ({ row }) => row.outcome_at && new Date(row.outcome_at)),
  sometimes('dwell_ms', 'int64', 'milliseconds from showing to reaction', ({ row: { dwell_ms } }) =>
    dwell_ms === null ? null : BigInt(dwell_ms),
  ),
  sometimes('reward_milli', 'int32', 'reward of the outcome in thousandths', ({ row }) => row.reward_milli),
  sometimes('reward_version', 'string', 'version of the rewards', ({ row }) => row.reward_version),
];

const ofCandidates: readonly Column[] = [
  always('candidates', 'int32', 'how many tips there were to choose from', ({ row }) => row.candidates),
  sometimes('chosen', 'int32', 'index of the one that was chosen, from 0', ({ chosen }) => chosen),
  always('candidate_propensities', 'doubles', 'probability of each candidate', ({ propensities }) => propensities),
  always('candidate_vectors', 'int32s', `vectors of all candidates, one after another: ${unitsNote}`, ({ vectors }) =>
    vectors.flat(),
  ),
];

function featureColumns(features: Features): readonly Column[] {
  const profile = profileFeatures.map((feature) => featureColumn(feature, ProfileFeaturesSchema));
  const person = personFeatures.map((feature) => featureColumn(feature, PersonFeaturesSchema));
  return features === 'profile' ? profile : [...profile, ...person];
}

interface NamedFeature {
  readonly name: string;
  readonly property: string;
  readonly description: string;
}

/** As the contract types it. Null: not known when it was decided. */
function featureColumn({ name, property, description }: NamedFeature, schema: DescMessage): Column {
  const field = schema.field[property];
  const isWhole = field !== undefined && 'scalar' in field && field.scalar !== ScalarType.DOUBLE;
  const type = field?.fieldKind === 'list' ? 'int32s' : isWhole ? 'int32' : 'double';
  return sometimes(name, type, `feature: ${description}`, ({ row }) => row.features[name] ?? null);
}

/** What the file says of itself beside its rows, as keys and values. The same for the same options. */
export function metadataOf(features: Features, asOfMs: number | undefined): readonly (readonly [string, string])[] {
  const columns = columnsOf(features);
  return [
    ['oo.schema_version', schemaVersion],
    ['oo.columns', JSON.stringify(Object.fromEntries(columns.map(({ name, meaning }) => [name, meaning])))],
    ['oo.vector_version', vectorVersion],
    ['oo.vector_names', JSON.stringify(vectorNames)],
    ['oo.vector_unit', '2^-12'],
    ['oo.order', 'by person, then by what the decision had seen'],
    ...(asOfMs === undefined ? [] : [['oo.as_of', new Date(asOfMs).toISOString()] as const]),
  ];
}
