// Model cards in the forms that others read. Pure: the same card gives the same bytes.
import { stringify } from 'yaml';
import { cardHash, type Disparity, type Figure, fairnessMeasures, type ModelCard, type OffPolicy } from './card.ts';

export interface ExportedAs {
  readonly name: string;
  readonly version: string;
  /** When the card's model was registered. Undefined: nowhere. */
  readonly atMs: number | undefined;
}

interface Metric {
  readonly type: string;
  readonly slice?: string;
  readonly figure: Figure;
}

/** All numbers of a card, each under a name of its own. */
function metricsOf({ evaluation, log }: ModelCard): readonly Metric[] {
  const metrics: Metric[] = [];
  if (evaluation) {
    const { errors, baselines, classification, slices, fairness, offPolicy } = evaluation;
    metrics.push(...named(errors));
    for (const { name, rmseSaved, maeSaved } of baselines)
      metrics.push(...named({ rmseSaved, maeSaved }, `against ${name}`));
    if (!('reason' in classification)) metrics.push(...named(classification));
    for (const { slice, group, rmse, mae, meanError } of slices)
      metrics.push(...named({ rmse, mae, meanError }, `${slice}: ${group}`));
    for (const each of fairness)
      for (const measure of fairnessMeasures) metrics.push(...ofDisparity(measure, each.segment, each[measure]));
    metrics.push(...ofOffPolicy(offPolicy));
  }
  if (log) {
    metrics.push(...ofOffPolicy(log.offPolicy));
    for (const { segment, gain } of log.fairness)
      metrics.push(...gain.map(({ group, figure }) => ({ type: 'gain', slice: `${segment}: ${group}`, figure })));
  }
  return metrics;
}

const named = (figures: Readonly<Record<string, Figure | undefined>> | object, slice?: string): Metric[] =>
  Object.entries(figures).flatMap(([type, figure]: [string, Figure | undefined]) =>
    figure ? [{ type, figure, ...(slice !== undefined && { slice }) }] : [],
  );

const ofDisparity = (measure: string, segment: string, { groups, difference }: Disparity): Metric[] => [
  ...groups.map(({ group, figure }) => ({ type: measure, slice: `${segment}: ${group}`, figure })),
  { type: `${measure} difference`, slice: segment, figure: difference },
];

const ofOffPolicy = ({ value, gain, logged }: OffPolicy): Metric[] =>
  named({ 'off-policy value': value, 'off-policy gain': gain, 'logged reward': logged });

/** A bill of materials of one machine-learning model, in CycloneDX 1.6. */
export function toCycloneDx(card: ModelCard, { name, version, atMs }: ExportedAs): object {
  const { model, training, inputs, weaknesses, notKnown, evaluation, log, purpose, owner } = card;
  const hash = cardHash(card);
  const data = training.kind === 'trained' ? training.data : undefined;
  const unknown = [...notKnown, ...(evaluation?.notKnown ?? [])];
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(hash)}`,
    version: 1,
    metadata: {
      ...(atMs !== undefined && { timestamp: new Date(atMs).toISOString() }),
      manufacturer: { name: owner },
      component: {
        type: 'machine-learning-model',
        'bom-ref': `model:${model.hash}`,
        ...{ name, version, description: purpose },
        ...(model.artifact && { hashes: [{ alg: 'SHA-256', content: model.artifact.sha256 }] }),
        modelCard: {
          modelParameters: {
            ...(training.kind === 'trained' && { approach: { type: 'supervised' } }),
            task: 'regression of rewards',
            architectureFamily: model.kind,
            modelArchitecture: `${model.kind}, ${model.use}; explores by ${model.explorer.name}`,
            ...(data && { datasets: [{ ref: `data:${data.sha256}` }] }),
            inputs: inputs.map((each) => ({ format: `${each.name}: ${each.unit}, ${each.low} to ${each.high}` })),
            outputs: [{ format: 'expected reward, -1 to 1' }],
          },
          quantitativeAnalysis: {
            performanceMetrics: metricsOf(card).map(({ type, slice, figure }) => ({
              type,
              ...(slice !== undefined && { slice }),
              ...(figure.value === null
                ? { value: `not known: ${figure.reason}` }
                : {
                    value: String(figure.value),
                    confidenceInterval: { lowerBound: String(figure.low), upperBound: String(figure.high) },
                  }),
            })),
          },
          considerations: {
            useCases: [purpose],
            technicalLimitations: [
              ...weaknesses,
              ...unknown.map((each) => `${each.name} is not known: ${each.reason}`),
            ],
            fairnessAssessments: [...(evaluation?.fairness ?? []), ...(log?.fairness ?? [])].map(
              ({ segment, suppressed }) => ({
                groupAtRisk: `people by ${segment}`,
                mitigationStrategy: `No step towards more people without intervals for each group of enough people. Too small for numbers: ${suppressed.join(', ') || 'none'}.`,
              }),
            ),
          },
          properties: [
            { name: 'oo:card:hash', value: hash },
            { name: 'oo:model:code', value: model.code },
            { name: 'oo:reward:version', value: model.rewardVersion },
          ],
        },
      },
    },
    ...(data && {
      components: [
        {
          type: 'data',
          'bom-ref': `data:${data.sha256}`,
          name: 'training set',
          version: data.asOf,
          hashes: [{ alg: 'SHA-256', content: data.sha256 }],
          data: [
            {
              type: 'dataset',
              name: 'training set',
              contents: { properties: [{ name: 'rows', value: String(data.rows) }] },
            },
          ],
        },
      ],
    }),
  };
}

/** Version 8 of RFC 9562: whatever its bits say, here the digest. */
function uuidOf(hash: string): string {
  const [a, b, c, d, e] = [
    hash.slice(0, 8),
    hash.slice(8, 12),
    hash.slice(13, 16),
    hash.slice(17, 20),
    hash.slice(20, 32),
  ];
  return `${a}-${b}-8${c}-a${d}-${e}`;
}

/** The page, behind what a Hugging Face repository asks for. Its form has no intervals, so their ends are numbers too. */
export function toHuggingFace(card: ModelCard, { name, version }: ExportedAs, page: string): string {
  const { model, training } = card;
  const metrics = metricsOf(card).filter(({ slice }) => slice === undefined);
  const matter = {
    library_name: 'oo-ml',
    pipeline_tag: 'tabular-regression',
    tags: ['contextual-bandit', 'recommender', model.kind, `explorer:${model.explorer.name}`],
    'model-index': [
      {
        name: `${name}/${version}`,
        results: [
          {
            task: { type: 'tabular-regression', name: 'expected reward of a tip' },
            dataset: {
              type: training.kind === 'trained' ? training.data.sha256 : 'decision-log',
              name: training.kind === 'trained' ? 'people who were held out' : 'log of decisions',
            },
            metrics: metrics.flatMap(({ type, figure }) =>
              figure.value === null
                ? []
                : [
                    { type, name: type, value: figure.value },
                    { type, name: `${type}, lower end of the 95 % interval`, value: figure.low },
                    { type, name: `${type}, upper end of the 95 % interval`, value: figure.high },
                  ],
            ),
          },
        ],
      },
    ],
  };
  return `---\n${stringify(matter, { aliasDuplicateObjects: false })}---\n\n${page}`;
}
