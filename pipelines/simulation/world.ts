import { create } from '@bufbuild/protobuf';
import { type Draws, drawsOf, seedOf } from '../../experiments/draw.ts';
import { type OutcomeName, rewardMilli } from '../../experiments/rewards.ts';
import { namesOfTipKind } from '../../gen/proto/oo/contract.ts';
import { TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { type ScoreRequest, ScoreRequestSchema } from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import { dayMs } from '../../platform/clock.ts';
import { idAt } from '../../platform/ids.ts';
import { type Persona, personas, type Taste, tasteNames } from './personas.ts';

/**
 * `stationary`: all personas, who stay as they are. `drifting`: everybody comes to like what another persona likes, two in
 * three gradually over `driftDays`, the others from one day to the next. `alike`: procrastinators only, who like the
 * opposite of what the policies' prior expects, to see what a population is worth where people are like each other.
 */
export const worldKinds = ['stationary', 'drifting', 'alike'] as const;

export type WorldKind = (typeof worldKinds)[number];

export interface WorldOptions {
  readonly kind: WorldKind;
  readonly seed: number;
  readonly people: number;
  /** How long each person is there. */
  readonly days: number;
  /** People come one after another over so many days: as in life, most find a population that has learnt before them. */
  readonly joinDays: number;
}

/** One moment at which a person asks for a tip: whoever decides, it comes, with the same candidates and the same luck. */
export interface Visit {
  readonly request: ScoreRequest;
  readonly atMs: number;
  /** Of this person: 0 is the day on which they joined. */
  readonly day: number;
  readonly person: Person;
  readonly taste: Taste;
  /** Counters below `reactionDraws` are for the reaction. */
  readonly draws: Draws;
}

export interface Person {
  readonly userId: string;
  readonly persona: Persona;
  tasteOn(day: number): Taste;
}

/** What happened to a person so far, as far as it moves them. */
export interface Mood {
  readonly shownToday: number;
  readonly kindBefore: TipKind | undefined;
}

export interface Reaction {
  readonly outcome: OutcomeName;
  /** From showing to reaction. Undefined: there was none. */
  readonly dwellMs: number | undefined;
}

/** A Monday. Any day would do: nothing here looks at a clock. */
const startMs = Date.UTC(2026, 0, 5);
const driftDays = 35;
/** Standard deviation of what a person's taste differs from their persona's, in each part. */
const offset = 0.5;
const reactionDraws = 8;
const hourMs = 3_600_000;

/** All that will happen but for decisions and reactions, in the order of time. The same options, the same visits. */
export function createVisits({ kind, seed, people, days, joinDays }: WorldOptions): readonly Visit[] {
  const visits: Visit[] = [];
  for (let index = 0; index < people; index++) {
    const person = createPerson(kind, seed, index);
    const joinedMs = startMs + Math.floor((index * joinDays) / people) * dayMs;
    for (let day = 0; day < days; day++) {
      const taste = person.tasteOn(day);
      for (const hour of person.persona.hours) {
        const atMs = joinedMs + day * dayMs + hour * hourMs;
        visits.push(createVisit(seed, { person, taste, day }, atMs));
      }
    }
  }
  return visits.sort((a, b) => a.atMs - b.atMs);
}

function createPerson(kind: WorldKind, seed: number, index: number): Person {
  const inhabitants = kind === 'alike' ? personas.filter(({ name }) => name === 'procrastinator') : personas;
  const persona = inhabitants[index % inhabitants.length] as Persona;
  const userId = `${persona.name}-${index}`;
  const draws = drawsOf(seedOf(`simulation/${seed}/${userId}`));
  const own = (taste: Taste, from: number): Taste =>
    mapTaste((name, i) => taste[name] + offset * draws.normal(from + i));
  const now = own(persona.taste, 100);
  if (kind !== 'drifting') return { userId, persona, tasteOn: () => now };

  const step = 1 + Math.floor(draws.uniform(0) * (personas.length - 1));
  const later = own((personas[(index + step) % personas.length] as Persona).taste, 200);
  const isAbrupt = draws.uniform(1) < 1 / 3;
  const turn = Math.floor(driftDays * (0.25 + 0.5 * draws.uniform(2)));
  const shareOn = (day: number) => (isAbrupt ? Number(day >= turn) : Math.min(1, day / driftDays));
  return {
    userId,
    persona,
    tasteOn: (day) => mapTaste((name) => now[name] + shareOn(day) * (later[name] - now[name])),
  };
}

function mapTaste(partOf: (name: (typeof tasteNames)[number], i: number) => number): Taste {
  return Object.fromEntries(tasteNames.map((name, i) => [name, partOf(name, i)])) as Taste;
}

function createVisit(seed: number, who: Pick<Visit, 'person' | 'taste' | 'day'>, hourStartMs: number): Visit {
  const { userId } = who.person;
  const name = `simulation/${seed}/${userId}/${hourStartMs}`;
  const draws = drawsOf(seedOf(name));
  const atMs = hourStartMs + Math.floor(draws.uniform(reactionDraws) * hourMs);
  const count = 5 + Math.floor(draws.uniform(reactionDraws + 1) * 16);
  const candidates = Array.from({ length: count }, (_, i) => candidateOf(i, draws, reactionDraws + 2 + 5 * i));
  const request = create(ScoreRequestSchema, { requestId: idAt(atMs, name), userId, candidates });
  return { ...who, request, atMs, draws };
}

const otherKinds = [TipKind.ADVICE, TipKind.INSIGHT, TipKind.REMINDER] as const;

/** Two in three are tasks. The others have no date, age or priority, as in life. */
function candidateOf(i: number, draws: Draws, counter: number) {
  const id = `tip-${i}`;
  const kindDraw = draws.uniform(counter) * 9;
  if (kindDraw >= 6) {
    return {
      id,
      kind: otherKinds[Math.floor(kindDraw) - 6] ?? TipKind.ADVICE,
      source: TipSource.LLM,
      promptVersion: 'v1',
    };
  }
  const features = {
    isOverdue: draws.uniform(counter + 1) < 0.35,
    taskAgeDays: Math.floor(40 * draws.uniform(counter + 2) ** 2),
    priority: 1 + Math.floor(4 * draws.uniform(counter + 3)),
  };
  return { id, kind: TipKind.TASK, source: TipSource.TASK_DIRECT, taskId: id, features };
}

/** A person does a tip within a time that is log-normal, cut into as many equally likely values. */
const dwellValues = 8;
const dwellSpread = 0.8;
const doneShare = 0.75;

/** The hidden truth about one candidate, from which both the expected reward and the reaction come. */
interface Truth {
  readonly attention: number;
  /** The probability that an attentive person wants it. */
  readonly wanted: number;
  readonly dwellMs: number;
}

function truthOf({ taste, person, atMs, request }: Visit, { shownToday, kindBefore }: Mood, index: number): Truth {
  const { persona } = person;
  const candidate = request.candidates[index];
  const kind = candidate?.kind ?? TipKind.TASK;
  const overdue = candidate?.features?.isOverdue ? 1 : 0;
  const age = Math.min(1, (candidate?.features?.taskAgeDays ?? 0) / 30);
  const important = ((candidate?.features?.priority ?? 1) - 1) / 3;
  const hour = (atMs % dayMs) / hourMs;
  const closeness = Math.cos((2 * Math.PI * (hour - persona.bestHour)) / 24); // 1 at the best hour, -1 twelve hours from it
  const isForBestHour = kind === TipKind.TASK || kind === TipKind.REMINDER;
  const appeal =
    taste.base +
    taste.overdue * overdue +
    taste.age * age +
    taste.important * important +
    taste.urgent * overdue * important +
    taste[namesOfTipKind[kind] ?? 'task'] +
    taste.timely * (isForBestHour ? closeness : -closeness) +
    (kind === kindBefore ? 0 : taste.novel);
  return {
    attention: persona.attention * (0.75 + 0.25 * closeness) * Math.exp(-persona.fatigue * shownToday),
    wanted: 1 / (1 + Math.exp(-appeal)),
    dwellMs: persona.dwellMs * (1 + important),
  };
}

// exp of the quantiles of the normal distribution in the middle of eight equal parts
const dwellFactors = [-1.534, -0.887, -0.489, -0.157, 0.157, 0.489, 0.887, 1.534].map((z) => Math.exp(dwellSpread * z));

/** What a candidate is worth by the real table of rewards, on average over everything that the person may do with it. */
export function expectedReward(visit: Visit, mood: Mood, index: number): number {
  const { attention, wanted, dwellMs } = truthOf(visit, mood, index);
  const { refusal } = visit.person.persona;
  let done = 0;
  for (const factor of dwellFactors) done += rewardMilli('done', Math.round(dwellMs * factor)) / dwellValues;
  const yes = doneShare * done + (1 - doneShare) * rewardMilli('helpful', undefined);
  const no =
    refusal.dismiss * rewardMilli('dismiss', undefined) +
    refusal.notHelpful * rewardMilli('not_helpful', undefined) +
    refusal.snooze * rewardMilli('snooze', undefined);
  const ignored = rewardMilli('ignored', undefined);
  return (attention * (wanted * yes + (1 - wanted) * no) + (1 - attention) * ignored) / 1000;
}

/** What the person does with a candidate. The luck is that of the visit: the same for whatever was chosen. */
export function reactionTo(visit: Visit, mood: Mood, index: number): Reaction {
  const { attention, wanted, dwellMs } = truthOf(visit, mood, index);
  const { draws, person } = visit;
  const { dismiss, notHelpful } = person.persona.refusal;
  if (draws.uniform(0) >= attention) return { outcome: 'ignored', dwellMs: undefined };
  const value = Math.round(dwellMs * (dwellFactors[Math.floor(draws.uniform(1) * dwellValues)] ?? 1));
  const share = draws.uniform(3);
  if (draws.uniform(2) < wanted) return { outcome: share < doneShare ? 'done' : 'helpful', dwellMs: value };
  if (share < dismiss) return { outcome: 'dismiss', dwellMs: value };
  return { outcome: share < dismiss + notHelpful ? 'not_helpful' : 'snooze', dwellMs: value };
}
