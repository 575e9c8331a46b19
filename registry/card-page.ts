// A model card as Markdown, for whoever has to answer for the model. What matters first: may it go on, and if not, why.
import type { FieldViolation } from '../platform/errors.ts';
import {
  type Disparity,
  type Errors,
  type Evaluation,
  type Fairness,
  type Figure,
  fairnessMeasures,
  type LogEvidence,
  type ModelCard,
  type OffPolicy,
} from './card.ts';
import type { RolloutStep, StoredVerdict } from './rollout.ts';

export interface PageOf {
  /** As the reader knows it. */
  readonly title: string;
  /** Undefined: there is none that can be read. */
  readonly card: ModelCard | undefined;
  /** What keeps it from people because of its card. Empty: nothing. */
  readonly problems: readonly FieldViolation[];
  /** What the gate says of it where it stands. Undefined: it was not asked. */
  readonly gate?: StoredVerdict | undefined;
  /** Undefined: it is registered nowhere. */
  readonly registered?: { readonly actor: string; readonly atMs: number } | undefined;
  /** Of its policy, newest first. They are not on the card: they are what happened to it since. */
  readonly steps: readonly RolloutStep[];
}

export function cardPage({ title, card, problems, gate, registered, steps }: PageOf): string {
  const parts = [
    `# ${md(title)}`,
    ...verdict(problems, gate),
    ...(card ? [md(card.purpose), about(card, registered), ...body(card)] : []),
    '## Rollout',
    ...history(steps),
  ];
  return `${parts.join('\n\n')}\n`;
}

function verdict(problems: readonly FieldViolation[], gate: StoredVerdict | undefined): readonly string[] {
  if (problems.length > 0) {
    const many = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
    return [
      `**Blocked by ${many}** on this card. No override lifts this.`,
      problems.map(({ field, description }) => `- \`${field.replaceAll('`', "'")}\` ${md(description)}`).join('\n'),
    ];
  }
  if (!gate) return ['**The card is complete.** Nobody asked the gate about the model where it stands.'];
  if (gate.status === 'PASS') return ['**May be promoted.** The card is complete, and the gate says PASS.'];
  return [`**Blocked by the gate**, which says ${saidBy(gate)}. The card is complete.`];
}

function about({ owner, model, training }: ModelCard, registered: PageOf['registered']): string {
  const { explorer, artifact } = model;
  const given = Object.entries(explorer.hyperparameters).map(([name, value]) => `${name} ${value}`);
  const uses = { prior: 'a prior that each person’s rewards move', prediction: 'asked about each tip', rules: 'rules' };
  return table(
    ['', ''],
    [
      ['owner', md(owner)],
      ['kind', model.kind === 'policy' ? 'a policy of the build' : `${model.kind}, ${uses[model.use]}`],
      ['explores by', md([explorer.name, ...given].join(', '))],
      ...(registered ? [['registered', `${minute(registered.atMs)} by ${md(registered.actor)}`]] : []),
      ['hash', `\`${model.hash}\``],
      ...(artifact ? [['artifact', `\`${artifact.sha256}\`, ${thousands(artifact.bytes)} bytes`]] : []),
      ...(training.kind === 'trained' ? [['data', `\`${training.data.sha256}\``]] : []),
      ['code', `\`${model.code.replaceAll('`', "'")}\``],
      ['rewards', `version ${md(model.rewardVersion)}`],
    ],
  );
}

function body(card: ModelCard): readonly string[] {
  const { evaluation, log, latency, weaknesses } = card;
  const unknown = [...card.notKnown, ...(evaluation?.notKnown ?? [])];
  return [
    '## What it does badly',
    weaknesses.map((each) => `- ${md(each)}`).join('\n'),
    ...(evaluation ? evaluated(evaluation) : []),
    ...(log ? logged(log) : []),
    ...training(card),
    ...inputs(card),
    '## How fast it is',
    'reason' in latency
      ? `Not measured: ${md(latency.reason)}.`
      : `Timed: ${md(latency.of)}. Half of ${thousands(latency.calls)} calls took at most ${short(latency.p50Ms)} ms, 95 of 100 at most ${short(latency.p95Ms)} ms, 99 of 100 at most ${short(latency.p99Ms)} ms.`,
    ...(unknown.length === 0
      ? []
      : ['## What is not known', unknown.map(({ name, reason }) => `- ${md(name)}: ${md(reason)}`).join('\n')]),
  ];
}

function evaluated(evaluation: Evaluation): readonly string[] {
  const { rows, people, errors, baselines, calibration, classification, slices, fairness, offPolicy } = evaluation;
  const asOf = evaluation.asOf === null ? '' : ` Outcomes as known on ${instant(evaluation.asOf)}.`;
  return [
    '## How good it is',
    `Measured on ${thousands(rows)} decisions about ${thousands(people)} people whom it has not seen (${percent(evaluation.heldOutShare)} are held out). Rewards are of −1 to 1. In brackets: the interval of 95 %, in which people count as independent, and their decisions do not.${asOf}`,
    table(
      ['', 'RMSE', 'MAE', 'mean error'],
      [
        ['**the model**', ...errorCells(errors)],
        ...baselines.flatMap((each) => [
          [md(each.name), ...errorCells(each)],
          ['… which the model beats by', figure(each.rmseSaved), figure(each.maeSaved), ''],
        ]),
      ],
    ),
    'reason' in classification
      ? `Whether a reward is positive: ${md(classification.reason)}.`
      : table(
          ['whether a reward is positive', ''],
          [
            ['log loss', figure(classification.logLoss)],
            ['… less than that of the overall share by', figure(classification.logLossSaved)],
            ['AUC', figure(classification.auc)],
          ],
        ),
    '### Does it promise what it keeps?',
    'reason' in calibration
      ? `Not known: ${md(calibration.reason)}.`
      : table(
          ['predicted', 'on average', 'the reward was'],
          calibration.map(({ from, to, predicted, reward }) => [
            `${short(from)} to ${short(to)}`,
            figure(predicted),
            figure(reward),
          ]),
        ),
    '### For whom and when',
    `Groups of fewer than ${evaluation.minGroupPeople} people are named, without numbers.`,
    table(
      ['', 'group', 'decisions', 'people', 'RMSE', 'mean error'],
      slices.map(({ slice, group, suppressed, rmse, meanError, ...counts }) => [
        ...[md(slice), md(group), thousands(counts.rows), thousands(counts.people)],
        ...(suppressed === undefined ? [figure(rmse), figure(meanError)] : ['too few people', '']),
      ]),
    ),
    '## Is it fair?',
    'A tip is selected where the model finds it better than half of all. Differences are between the group where a number is highest and the one where it is lowest, and hold although the two were picked after looking.',
    ...fairness.flatMap(fairnessTable),
    ...earned(offPolicy),
  ];
}

const errorCells = ({ rmse, mae, meanError }: Errors) => [figure(rmse), figure(mae), figure(meanError)];

const measureNames: Readonly<Record<(typeof fairnessMeasures)[number], string>> = {
  selectionRate: 'selected',
  reward: 'reward of those',
  truePositiveRate: 'selected of the good',
  falsePositiveRate: 'selected of the others',
};

function fairnessTable(fairness: Fairness): readonly string[] {
  const { segment, suppressed } = fairness;
  const all = fairnessMeasures.map((measure) => ({ measure, disparity: fairness[measure] }));
  const names = [...new Set(all.flatMap(({ disparity }) => disparity.groups.map(({ group }) => group)))];
  const cell = (disparity: Disparity, group: string, measure: string) =>
    figure(disparity.groups.find((each) => each.group === group)?.figure, measure !== 'reward');
  return [
    `### By ${md(segment)}`,
    table(
      ['', ...fairnessMeasures.map((measure) => measureNames[measure])],
      [
        ...names.map((group) => [md(group), ...all.map(({ disparity, measure }) => cell(disparity, group, measure))]),
        ['**difference**', ...all.map(({ disparity, measure }) => differenceCell(disparity, measure !== 'reward'))],
      ],
    ),
    ...suppressedLine(suppressed),
  ];
}

function differenceCell({ difference, between }: Disparity, isShare: boolean): string {
  const pair = between ? `, ${md(between[0])} over ${md(between[1])}` : '';
  return `${figure(difference, isShare)}${pair}`;
}

const suppressedLine = (groups: readonly string[]): readonly string[] =>
  groups.length === 0 ? [] : [`Too few people for numbers: ${groups.map(md).join(', ')}.`];

function earned({ policy, value, gain, logged: known, checks }: OffPolicy): readonly string[] {
  return [
    '## What would people have made of it?',
    `Estimated from decisions that others made (doubly robust), for ${md(policy)}.`,
    table(
      ['reward per decision', ''],
      [
        ['it would have earned', figure(value)],
        ['what was earned', figure(known)],
        ['**more than was earned**', figure(gain)],
      ],
    ),
    checks.length === 0
      ? 'Nothing was checked.'
      : table(
          ['may this be believed?', '', ''],
          checks.map(({ name, passes, says }) => [md(name), passes ? 'yes' : '**no**', md(says)]),
        ),
  ];
}

function logged(log: LogEvidence): readonly string[] {
  const source = {
    shadow: 'what it would have done',
    canary: 'what it did about the people of its canary',
  }[log.source];
  const agrees = log.agreement === null ? '' : ` Both chose the same tip in ${percent(log.agreement)} of them.`;
  return [
    '## What the log says of it',
    `Nothing was trained, so there is nothing to hold out. It was asked beside ${md(log.against)}: ${thousands(log.decisions)} decisions on ${log.days} days, as of ${instant(log.asOf)}.${agrees}`,
    ...earned(log.offPolicy),
    '## Is it fair?',
    `Reward per decision, more than the active policy earns, group by group, by ${source}. In brackets: an interval of 95 % that holds however often one looks.`,
    ...log.fairness.flatMap(({ segment, suppressed, gain }) => [
      table(
        [`by ${md(segment)}`, 'people', 'more reward'],
        gain.map(({ group, figure: each }) => [
          md(group),
          each.value === null ? '' : thousands(each.people),
          figure(each),
        ]),
      ),
      ...suppressedLine(suppressed),
    ]),
  ];
}

function training({ training: found }: ModelCard): readonly string[] {
  if (found.kind !== 'trained')
    return [
      '## Where it comes from',
      `${found.kind === 'by hand' ? 'Nothing was trained.' : 'It was trained elsewhere:'} ${md(found.says)}`,
    ];
  const { data, window, people, heldOutShare, parameters } = found;
  return [
    '## Where it comes from',
    table(
      ['', ''],
      [
        ['rows', `${thousands(data.rows)} decisions about ${thousands(people)} people`],
        ['decided', `${instant(window.from)} to ${instant(window.to)}`],
        ['outcomes as known on', instant(data.asOf)],
        ['held out', `${percent(heldOutShare)} of the people`],
        ...Object.entries(parameters).map(([name, value]) => [md(name), md(String(value))]),
      ],
    ),
  ];
}

function inputs({ inputs: all }: ModelCard): readonly string[] {
  if (all.length === 0) return ['## What it reads', 'Nothing: it decides the same whatever is known.'];
  return [
    '## What it reads',
    table(
      ['', 'what it is', 'unit', 'range', 'stale after', 'where not known', 'from'],
      all.map(({ name, definition, unit, low, high, nullFallback, maxAgeMs, source }) => [
        ...[`\`${name}\``, md(definition), md(unit), `${short(low)} to ${short(high)}`],
        ...[maxAgeMs === null ? '–' : age(maxAgeMs), nullFallback === null ? '–' : short(nullFallback), md(source)],
      ]),
    ),
  ];
}

/** Each with who took it, and on what evidence. */
function history(steps: readonly RolloutStep[]): readonly string[] {
  if (steps.length === 0) return ['It took no step yet.'];
  return [
    'Newest first. The last column is the card that there was at the step.',
    table(
      ['', 'when', 'to', 'by', 'why', 'the gate', 'card'],
      steps.map((step) => [
        ...[`#${step.number}`, minute(step.atMs), place(step), md(step.actor), whyOf(step)],
        ...[
          step.verdict ? saidBy(step.verdict) : '',
          step.cardHash === undefined ? '' : `\`${step.cardHash.slice(0, 12)}\``,
        ],
      ]),
    ),
  ];
}

const place = ({ to, percent: share }: RolloutStep): string =>
  to === 'canary' ? `canary ${share} %` : to.replace('_', ' ');

function whyOf({ reason, overrideReason, expectedDivergence, causeNumber }: RolloutStep): string {
  return [
    causeNumber === undefined ? md(reason) : `came with #${causeNumber}`,
    ...(overrideReason === undefined ? [] : [`**against the gate**: ${md(overrideReason)}`]),
    ...(expectedDivergence === undefined ? [] : [`meant to differ: ${md(expectedDivergence)}`]),
  ].join('; ');
}

/** With all that does not pass. */
function saidBy({ status, criteria }: StoredVerdict): string {
  const failed = criteria.filter((each) => each.status !== 'PASS').map(({ criterion }) => criterion);
  return `${status}${failed.length === 0 ? '' : `: ${failed.join(', ')}`}`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Somebody else's text means nothing but itself. */
const md = (text: string): string => text.replaceAll(/[\\`*[\]<>|#]/g, '\\$&').replaceAll(/\s+/g, ' ');

function figure(found: Figure | undefined, isShare = false): string {
  if (!found) return '–';
  if (found.value === null) return `*not known: ${md(found.reason)}*`;
  const say = isShare ? (value: number) => short(value * 100) : short;
  return `${say(found.value)}${isShare ? ' %' : ''} (${say(found.low)} to ${say(found.high)})`;
}

/** Three digits after the point, or three that count. */
function short(value: number): string {
  const text = Number.isInteger(value)
    ? thousands(value)
    : Math.abs(value) >= 0.001
      ? value.toFixed(3).replace(/0+$/, '').replace(/\.$/, '')
      : value.toPrecision(3);
  return text.replace('-', '−');
}

const percent = (value: number): string => `${short(Math.round(value * 1000) / 10)} %`;
const thousands = (value: number): string => value.toLocaleString('en');
const minute = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
const instant = (text: string): string => minute(Date.parse(text));

function age(ms: number): string {
  const hours = ms / 3_600_000;
  return hours % 24 === 0 ? `${hours / 24} ${hours === 24 ? 'day' : 'days'}` : `${short(hours)} hours`;
}
