import type {
  After,
  Contribution,
  Difference,
  ExplainedCandidate,
  ExplainedFeature,
  ExplainedPolicy,
  Explanation,
  Remains,
  WholeExplanation,
} from '../pipelines/explain-decision.ts';
import {
  entryWords,
  featureWords,
  outcomes,
  sources,
  statusWords,
  textOf,
  ways,
  weaknesses,
} from './decision-words.ts';
import { bold, dim, green, heading, say, table } from './demo/print.ts';
import { ago, duration, number, percentOf, printable, signed, when, wrap } from './plain-words.ts';

const candidatesMax = 8;
const differencesMax = 10;
const barWidth = 60;
const listWidth = 90;

/** Explains a decision to somebody who asks why this person saw this tip. */
export function printDecision(explanation: Explanation, nowMs: number): void {
  const { decision_id, user_id, tip_id, decided_at } = explanation;
  heading(`Why ${printable(user_id)} got the tip ${printable(tip_id)}`);
  const zone = explanation.kind === 'decision' ? explanation.time_zone : 'UTC';
  say(dim(`   decided on ${when(decided_at, zone)}, ${ago(nowMs - Date.parse(decided_at))} ago`));
  say(dim(`   decision ${decision_id}`));
  if (explanation.kind === 'remains') printRemains(explanation);
  else printWhole(explanation);
}

function printWhole(explanation: WholeExplanation): void {
  printKnown(explanation);
  printCandidates(explanation.candidates);
  printChoice(explanation);
  heading('4  What happened then');
  printAfter(explanation.after, explanation.decided_at);
  printReplay(explanation);
}

function printRemains({ tip, candidates, policy, degradations, after, decided_at }: Remains): void {
  say();
  say(
    '   This decision’s event is not stored any more, as its month was dropped. What was known, the other tips and the draw',
  );
  say('   went with it, so it cannot be decided again. What can still be told:');
  say();
  say(`   It was one of ${candidates} tips (${kindOf(tip)}), with an estimate of ${signed(tip.score)}`);
  say(`   and a chance of ${percentOf(tip.propensity)}, by the policy ${policyOf(policy)}.`);
  for (const each of degradations) say(`   ${bold('Weaker than usual:')} ${weaknesses[each] ?? each}`);
  say();
  printAfter(after, decided_at);
  say();
}

// What was known

function printKnown({ features, degradations, time_zone }: WholeExplanation): void {
  heading('1  What was known');
  table(
    ['', 'value', 'this is', 'from', 'as of'],
    features.map((feature) => [
      featureWords[feature.name]?.label ?? printable(feature.name),
      meaningOf(feature),
      statusWords[feature.status],
      feature.source === 'clock' ? `our clock, in ${printable(time_zone)}` : originOf(feature),
      ageOf(feature),
    ]),
  );
  for (const each of degradations) say(`   ${bold('Weaker than usual:')} ${weaknesses[each] ?? each}`);
}

function meaningOf({ name, value, taken_as }: ExplainedFeature): string {
  return value === null ? `taken as ${number(taken_as ?? 0)} of 1` : textOf(name, value);
}

function originOf({ name, source, own_value }: ExplainedFeature): string {
  const own = own_value === null ? '' : ` (our records: ${textOf(name, own_value)})`;
  return source === null ? 'the default' : `${sources[source] ?? source}${own}`;
}

function ageOf({ source, age_ms }: ExplainedFeature): string {
  if (source === 'clock') return 'that moment';
  return age_ms === null ? '–' : `${ago(age_ms)} before`;
}

// The candidates

function printCandidates(candidates: readonly ExplainedCandidate[]): void {
  heading(`2  The tips there were: ${candidates.length}`);
  const isEstimated = candidates.some(({ contributions }) => contributions.length > 0);
  const ranked = candidates.toSorted((a, b) => b.score - a.score || b.propensity - a.propensity);
  const shown = ranked.filter((each, i) => each.is_chosen || i < candidatesMax);
  const common = commonTo(candidates);
  table(
    ['', 'tip', 'what it is', 'chance', ...(isEstimated ? ['estimate', 'because of'] : [])],
    shown.map((candidate) => [
      candidate.is_chosen ? '▶' : ' ',
      printable(candidate.tip_id),
      kindOf(candidate),
      percentOf(candidate.propensity),
      ...(isEstimated
        ? [signed(candidate.score), reasons(candidate.contributions, (entry) => !common.has(entry))]
        : []),
    ]),
  );
  const hidden = ranked.filter((each) => !shown.includes(each));
  const left = hidden.reduce((sum, { propensity }) => sum + propensity, 0);
  if (hidden.length > 0) say(dim(`   and ${hidden.length} more, with a chance of ${percentOf(left)} together`));
  if (isEstimated) printEstimates(candidates, common);
  else say(dim('   Nothing was estimated: the policy treats all tips alike.'));
}

function printEstimates(candidates: readonly ExplainedCandidate[], common: ReadonlySet<string>): void {
  const [first] = candidates;
  const same =
    first && common.size > 0
      ? wrap(
          reasons(first.contributions, (entry) => common.has(entry)),
          listWidth,
        )
      : [];
  for (const [i, line] of same.entries()) say(`   ${i === 0 ? 'The same for each:' : ' '.repeat(18)} ${line}`);
  say(
    dim(
      '   An estimate is the reward to expect, from −1 (sent away) to +1 (done soon): the sum of what it is because of.',
    ),
  );
}

/** Entries that add the same to all of several candidates. */
function commonTo(candidates: readonly ExplainedCandidate[]): ReadonlySet<string> {
  const [first, ...others] = candidates;
  if (!first || others.length === 0) return new Set();
  const isIn = ({ contributions }: ExplainedCandidate, { entry, value }: Contribution) =>
    contributions.some((each) => each.entry === entry && each.value === value);
  const common = first.contributions.filter((each) => others.every((other) => isIn(other, each)));
  return new Set(common.map(({ entry }) => entry));
}

/** Largest first. The two entries of a clock or a week are one reason. */
function reasons(contributions: readonly Contribution[], isMeant: (entry: string) => boolean): string {
  const sums = new Map<string, number>();
  for (const { entry, value } of contributions.filter((each) => isMeant(each.entry))) {
    const words = entryWords[entry as keyof typeof entryWords] ?? entry;
    sums.set(words, (sums.get(words) ?? 0) + value);
  }
  const told = [...sums]
    .filter(([, value]) => Math.abs(value) >= 0.0005)
    .sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  return told.map(([words, value]) => `${words} ${signed(value)}`).join(', ') || '–';
}

function kindOf({
  kind,
  source,
  model,
  prompt_version,
}: Pick<ExplainedCandidate, 'kind' | 'source' | 'model' | 'prompt_version'>) {
  const prompt = prompt_version ? `, prompt ${printable(prompt_version)}` : '';
  const writer = source === 'llm' ? `, by ${model ? printable(model) : 'a language model'}${prompt}` : '';
  return `${kind ?? 'tip'}${source === 'fallback' ? ', from a template' : writer}`;
}

// The choice

function printChoice({ policy, learnt, experiments, candidates, draw }: WholeExplanation): void {
  heading('3  How one was chosen');
  const line = (label: string, text: string) => say(`   ${label.padEnd(11)}   ${text}`);
  line('policy', policyOf(policy));
  const way = ways[policy.name];
  if (way) line('', way);
  for (const [label, text] of startsOf(policy, learnt)) line(label, text);
  const arms = experiments.map(({ experiment, version, arm }) => `${experiment} ${version}, arm ${arm}`);
  line('experiment', arms.map((arm) => printable(arm)).join('; ') || 'none');
  line('drawn', `${draw.value.toFixed(4)}, from the seed ${draw.seed} of the request; the chances side by side:`);
  const chosen = candidates.find(({ is_chosen }) => is_chosen);
  if (!chosen) return;
  const span = `${chosen.drawn_from.toFixed(4)} to ${chosen.drawn_to.toFixed(4)}`;
  line('', `0 ${barOf(candidates)} 1`);
  line('', `  ${' '.repeat(Math.floor(draw.value * barWidth))}▲ on ${bold(printable(chosen.tip_id))}, ${span}`);
}

/** Chances side by side in the order of the request, in two shades by turns. */
function barOf(candidates: readonly ExplainedCandidate[]): string {
  return Array.from({ length: barWidth }, (_, i) => {
    const at = (i + 0.5) / barWidth;
    const index = candidates.findIndex(({ drawn_to }) => at < drawn_to);
    return candidates[index]?.is_chosen ? '█' : index % 2 === 0 ? '▒' : '░';
  }).join('');
}

function policyOf({ name, code, hyperparameters }: ExplainedPolicy): string {
  const values = Object.entries(hyperparameters).map(([key, value]) => `${key} ${value}`);
  return `${bold(name)}, version ${[code, ...values].join(', ')}`;
}

type Line = readonly [label: string, text: string];

/** What it had learnt, from the nearest to the farthest; each step weighs as much as so many rewards of the one before. */
function startsOf({ model_version, hyperparameters }: ExplainedPolicy, learnt: WholeExplanation['learnt']): Line[] {
  if (model_version === null) return [['learnt from', 'nothing: it never learns']];
  const { own_rewards, own_mean_reward, population } = learnt;
  const mean = own_mean_reward === null ? '' : `, ${signed(own_mean_reward)} on average`;
  const { kappa, lambda } = hyperparameters;
  return [
    ['learnt from', `${rewardsOf(own_rewards)} of this person${mean}`],
    ['on top of', `${startOf(population)}${kappa === undefined ? '' : `; worth ${kappa} own rewards (kappa)`}`],
    [
      'on top of',
      `weights set by hand, ${model_version}${lambda === undefined ? '' : `; worth ${lambda} rewards of everybody (lambda)`}`,
    ],
  ];
}

const rewardsOf = (count: number): string =>
  count === 0 ? 'no reward' : count === 1 ? '1 reward' : `${number(count)} rewards`;

function startOf(population: WholeExplanation['learnt']['population']): string {
  if (!population) return 'no rewards of others, as none had been added up';
  const { id, age_ms, people, rewards } = population;
  if (age_ms === null) return `everybody’s rewards, row ${id}, which is lost`;
  const of = people === 1 ? '1 person' : `${number(people ?? 0)} people`;
  return `${rewardsOf(rewards ?? 0)} of ${of}, added up ${ago(age_ms)} before`;
}

// Afterwards

function printAfter(
  { shown_at, reactions, outcome, outcome_at, reward, reward_version }: After,
  decidedAt: string,
): void {
  const later = (at: string) =>
    Date.parse(at) < Date.parse(decidedAt)
      ? 'before it was decided'
      : `${ago(Date.parse(at) - Date.parse(decidedAt))} later`;
  say(shown_at ? `   Shown ${later(shown_at)}.` : '   Nobody has said that it was shown.');
  for (const { reaction, at, dwell_ms } of reactions) {
    const taken = dwell_ms === null ? '' : `, ${duration(dwell_ms)} after it was shown`;
    say(`   ${outcomes[reaction] ?? reaction} ${later(at)}${taken}.`);
  }
  if (outcome === 'ignored' && outcome_at) say(`   Ignored: nothing was heard until ${later(outcome_at)}.`);
  if (outcome === null) say('   No reaction yet: still open.');
  else if (reward === null) say('   No reward has been given yet.');
  else {
    const which = reactions.length > 1 ? ` for “${outcomes[outcome] ?? outcome}”, which counts` : '';
    say(`   Reward ${bold(signed(reward))}${which}, by version ${reward_version} of the rewards.`);
  }
}

// Once more

function printReplay({ replay }: WholeExplanation): void {
  heading('5  Decided again, from the events that it had seen');
  const { is_equal, features, policy, compared, differences } = replay;
  const of = `${compared.feature} features, ${compared.vector} inputs and ${compared.decision} results`;
  if (is_equal) say(`   ${green('The same, bit for bit')}: ${of}.`);
  else say(bold(`   Not the same: ${differences.length} of ${of} differ.`));
  if (features === 'month_dropped')
    say('   Events that it had seen were in a month that was dropped: what was known is taken from the log.');
  if (features === 'nothing_read') say('   It had read nothing of the person, as it says.');
  if (policy === 'unknown_version')
    say('   This build does not have that version of the policy: it was not drawn again.');
  for (const each of differences.slice(0, differencesMax)) printDifference(each);
  if (differences.length > differencesMax) say(dim(`   and ${differences.length - differencesMax} more, see --json`));
  say();
}

function printDifference({ part, name, logged, recomputed }: Difference): void {
  say(`   ${part} ${bold(printable(name))}`);
  say(`      logged     ${exactly(logged, recomputed)}`);
  say(`      recomputed ${exactly(recomputed, logged)}`);
}

/** To the last digit: what differs may differ there. Of two lists, what differs in them. */
function exactly(value: unknown, other: unknown): string {
  if (value === null) return 'nothing';
  if (!Array.isArray(value))
    return printable(typeof value === 'object' ? fieldsOf(value as object) : String(value), 200);
  const places = value.map((each, i) => [each, Array.isArray(other) ? other[i] : other]).entries();
  const different = [...places].filter(([, [mine, theirs]]) => mine !== theirs);
  return printable(different.map(([i, [mine]]) => `[${i}] ${mine}`).join(', ') || `${value.length} entries`, 200);
}

const fieldsOf = (value: object): string =>
  Object.entries(value)
    .flatMap(([key, each]) =>
      key === 'name' ? [] : [`${key} ${key === 'asOfMs' ? new Date(each).toISOString() : each}`],
    )
    .join(', ');
