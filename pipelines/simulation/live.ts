import { create } from '@bufbuild/protobuf';
import { toTimestamp } from '../../features/time.ts';
import { type Envelope, EnvelopeSchema } from '../../gen/proto/oo/events/v1/envelope_pb.ts';
import { Reaction } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import type { ScoreRequest } from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import { dayMs } from '../../platform/clock.ts';
import { derivedId } from '../../platform/ids.ts';
import { expectedReward, type Mood, reactionTo, type Visit } from './world.ts';

/** What people and time ask of a service. */
export type Step =
  | { readonly kind: 'score'; readonly request: ScoreRequest; readonly atMs: number }
  /** Something happened. The service hears of it at once. */
  | { readonly kind: 'event'; readonly event: Envelope }
  /** The chore that adds up everybody's rewards runs. */
  | { readonly kind: 'measure' };

/** How a service answers a Score. */
export interface Answer {
  readonly tipId: string;
  readonly decisionId: string;
  /** In the order of the request's candidates. */
  readonly propensities: readonly number[];
}

/** One decision beside the hidden truth. */
export interface Lived {
  readonly visit: Visit;
  readonly answer: Answer;
  /**
   * What the best candidate was worth beyond what the policy's probabilities give on average: the same in expectation as
   * the regret of the tip that was drawn, with less noise.
   */
  readonly regret: number;
}

/** As `IGNORED_AFTER_HOURS`. */
const ignoredAfterMs = dayMs;
/** As the chore `learnt population`. */
const measureEveryMs = 600_000;
const shownAfterMs = 1000;

const reactions = {
  done: Reaction.DONE,
  dismiss: Reaction.DISMISS,
  snooze: Reaction.SNOOZE,
  helpful: Reaction.HELPFUL,
  not_helpful: Reaction.NOT_HELPFUL,
} as const;

/**
 * Lives through the visits: yields what a service has to do, in the order of time, and takes its answer to every Score; for
 * any other step the answer is not looked at. One description of life for a service in memory and for the real servers.
 */
export function* live(
  visits: readonly Visit[],
  observe: (lived: Lived) => void,
): Generator<Step, void, Answer | undefined> {
  const moods = new Map<string, Mood & { readonly day: number }>();
  const waiting: { readonly atMs: number; readonly event: Envelope }[] = []; // in the order of time
  let measuredAt = 0;

  function* passTime(untilMs: number): Generator<Step, void, Answer | undefined> {
    for (;;) {
      const next = waiting[0];
      const atMs = next && next.atMs <= untilMs ? next.atMs : untilMs;
      const tick = Math.floor(atMs / measureEveryMs);
      if (tick > measuredAt) {
        measuredAt = tick;
        yield { kind: 'measure' };
      }
      if (!next || next.atMs > untilMs) return;
      waiting.shift();
      yield { kind: 'event', event: next.event };
    }
  }

  const later = (event: Envelope, atMs: number) => {
    let place = waiting.length;
    while (place > 0 && (waiting[place - 1]?.atMs ?? 0) > atMs) place--;
    waiting.splice(place, 0, { atMs, event });
  };

  for (const visit of visits) {
    const { atMs, day, request } = visit;
    yield* passTime(atMs);
    const answer = yield { kind: 'score', request, atMs };
    if (!answer) throw new Error('a Score was not answered');
    const before = moods.get(request.userId);
    const mood: Mood = {
      shownToday: before?.day === day ? before.shownToday : 0,
      kindBefore: before?.kindBefore,
    };
    observe({ visit, answer, regret: regretOf(visit, mood, answer) });

    const index = request.candidates.findIndex(({ id }) => id === answer.tipId);
    const kind = request.candidates[index]?.kind ?? 0;
    moods.set(request.userId, { day, shownToday: mood.shownToday + 1, kindBefore: kind });
    for (const event of eventsAfter(visit, mood, answer, index)) later(event, occurredAtMs(event));
  }
}

function regretOf(visit: Visit, mood: Mood, { propensities }: Answer): number {
  let best = Number.NEGATIVE_INFINITY;
  let expected = 0;
  for (const [i, propensity] of propensities.entries()) {
    const worth = expectedReward(visit, mood, i);
    best = Math.max(best, worth);
    expected += propensity * worth;
  }
  return best - expected;
}

/** The tip is shown, and the person reacts; or a day later it is said that they did not. */
function eventsAfter(visit: Visit, mood: Mood, { tipId, decisionId }: Answer, index: number): Envelope[] {
  const { outcome, dwellMs } = reactionTo(visit, mood, index);
  const shownMs = visit.atMs + shownAfterMs;
  const { kind = 0, source = 0 } = visit.request.candidates[index] ?? {};
  const shown = eventOf(visit, shownMs, { case: 'tipServed', value: { tipId, decisionId, kind, source } });
  if (outcome === 'ignored') {
    const waitedMs = BigInt(ignoredAfterMs);
    const value = { tipId, decisionId, waitedMs };
    return [shown, eventOf(visit, shownMs + ignoredAfterMs, { case: 'tipIgnored', value })];
  }
  const value = { tipId, decisionId, reaction: reactions[outcome], dwellMs: BigInt(dwellMs ?? 0) };
  return [shown, eventOf(visit, shownMs + (dwellMs ?? 0), { case: 'tipFeedback', value })];
}

type Payload = NonNullable<Parameters<typeof create<typeof EnvelopeSchema>>[1]>['payload'];

function eventOf({ request }: Visit, atMs: number, payload: Payload): Envelope {
  const { requestId, userId } = request;
  return create(EnvelopeSchema, {
    eventId: derivedId(`simulation/${payload?.case}`, requestId),
    occurredAt: toTimestamp(atMs),
    schemaVersion: 'v1',
    producer: 'simulation',
    userId,
    ...(payload && { payload }),
  });
}

function occurredAtMs({ occurredAt }: Envelope): number {
  return Number(occurredAt?.seconds) * 1000 + (occurredAt?.nanos ?? 0) / 1_000_000;
}
