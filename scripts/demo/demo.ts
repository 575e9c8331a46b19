import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  createEventPublisher,
  createTipClient,
  type EventPublisher,
  openBus,
  type TipClient,
} from '../../client/index.ts';
import { createErasureStore } from '../../features/erasure-store.ts';
import { toTimestamp } from '../../features/time.ts';
import type { PrismaClient } from '../../gen/prisma/client.ts';
import { namesOfDegradation, namesOfTipKind, namesOfTipSource } from '../../gen/proto/oo/contract.ts';
import { Reaction, TipKind, TipSource } from '../../gen/proto/oo/events/v1/tip_pb.ts';
import { FeatureStatus, type FeatureValue } from '../../gen/proto/oo/features/v1/features_pb.ts';
import type { TipCandidate } from '../../gen/proto/oo/serving/v1/candidate_pb.ts';
import type { SignalSchema } from '../../gen/proto/oo/serving/v1/context_pb.ts';
import type { ScoreResponse } from '../../gen/proto/oo/serving/v1/serving_pb.ts';
import { verify } from '../../pipelines/verify.ts';
import { dayMs } from '../../platform/clock.ts';
import type { Database } from '../../platform/database.ts';
import { printReport } from '../print-report.ts';
import { historyOf, type Person, people } from './people.ts';
import { bold, dim, green, heading, percent, say, table } from './print.ts';
import { waitFor } from './wait-for.ts';

export interface DemoDeps {
  readonly baseUrl: string;
  readonly natsUrl: string;
  readonly prisma: PrismaClient;
  readonly database: Database;
}

const userId = 'demo-anna';

/** Turns the loop once before the person's eyes: events, a Score, a Generate, a reaction, what it changed, and proof. */
export async function runDemo({ baseUrl, natsUrl, prisma, database }: DemoDeps): Promise<void> {
  const client = createTipClient({ baseUrl, promptVersions: process.env.TIP_PROMPT_VERSION ?? '' });
  const bus = await openBus({ url: natsUrl, name: 'oo-demo' });
  const publisher = createEventPublisher({ bus, producer: 'oo-demo@1' });
  try {
    const erased = await createErasureStore(database).findErased(people.map((person) => person.userId));
    const left = people.filter((person) => !erased.has(person.userId));
    await tellHistory(publisher, prisma, left);
    if (erased.has(userId)) {
      say(`\n   ${userId} was erased: there is nothing more to show. Without the folder .oo all begins anew.`);
      return;
    }
    const written = await generate(client);
    const answer = await score(client, written);
    await react(client, publisher, prisma, answer);
    await verifyAll(database);
    say(`   To have one explained:  ${bold(`npm run decision -- ${answer.decisionId}`)}`);
  } finally {
    await bus.close();
  }
}

async function tellHistory(publisher: EventPublisher, prisma: PrismaClient, people: readonly Person[]): Promise<void> {
  const startedAt = performance.now();
  const events = people.flatMap((person) => historyOf(person, Date.now()));
  const before = await prisma.eventId.count();
  const ids = await Promise.all(events.map((event) => publisher.publish(event)));
  await waitFor(
    'the events to be stored',
    async () => (await prisma.eventId.count({ where: { eventId: { in: ids } } })) === ids.length,
  );
  const added = (await prisma.eventId.count()) - before;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  heading(`1  Events: ${events.length} of ${people.length} people, through JetStream into Postgres in ${seconds} s`);
  if (added < events.length)
    say(dim(`   ${events.length - added} of them were there from an earlier start and did not count again`));
  const days = await prisma.userDaily.groupBy({
    by: ['userId'],
    where: { userId: { in: people.map((person) => person.userId) }, day: { gte: new Date(Date.now() - 30 * dayMs) } },
    _sum: { served: true, done: true, dismissed: true, snoozed: true },
    orderBy: { userId: 'asc' },
  });
  table(
    ['person', 'shown', 'done', 'dismissed', 'snoozed'],
    days.map(({ userId, _sum }) => [
      userId,
      ...[_sum.served, _sum.done, _sum.dismissed, _sum.snoozed].map((sum) => String(sum ?? 0)),
    ]),
  );
}

async function generate(client: TipClient): Promise<readonly TipCandidate[]> {
  const now = Date.now();
  const signals = [
    {
      id: 'task-7',
      detail: { case: 'task', value: { title: 'Call the dentist', isOverdue: true, ageDays: 12, priority: 3 } },
    },
    {
      id: 'task-9',
      detail: { case: 'task', value: { title: 'Renew the bike insurance', ageDays: 3, priority: 2 } },
    },
    {
      id: 'event-2',
      detail: {
        case: 'event',
        value: { title: 'Team lunch', startsAt: toTimestamp(now + 2 * 3_600_000), durationMinutes: 60 },
      },
    },
    { id: 'health-1', detail: { case: 'health', value: { steps: 2_140, sleepMinutes: 392 } } },
  ] satisfies MessageInitShape<typeof SignalSchema>[];
  const answer = await client.generate({ userId, context: { timeZone: 'Europe/Amsterdam', signals } });
  heading(`2  Generate: new tips for ${userId}`);
  say(
    dim(
      `   request   3 tips, from ${signals.map(({ id, detail }) => ('title' in detail.value ? `${id} “${detail.value.title}”` : id)).join(', ')}`,
    ),
  );
  table(
    ['kind', 'written by', 'rests on', 'tip'],
    answer.candidates.map(({ kind, source, signalIds, content }) => [
      namesOfTipKind[kind] ?? '',
      namesOfTipSource[source] ?? '',
      signalIds.join(', ') || '–',
      content,
    ]),
  );
  const { promptVersion, promptHash, model, degradations } = answer;
  say(
    dim(
      `   prompt ${promptVersion} (${promptHash.slice(0, 12)}), model ${model || 'none'}${listed(
        ', weaker than asked: ',
        degradations.map((each) => namesOfDegradation[each] ?? ''),
      )}`,
    ),
  );
  if (!model) say(dim('   Set LLM_BASE_URL and LLM_MODEL to let a language model write them.'));
  return answer.candidates;
}

async function score(client: TipClient, written: readonly TipCandidate[]): Promise<ScoreResponse> {
  const candidates = [
    {
      id: 'task-7',
      content: 'Call the dentist',
      kind: TipKind.TASK,
      source: TipSource.TASK_DIRECT,
      taskId: '7',
      features: { isOverdue: true, taskAgeDays: 12, priority: 3 },
    },
    {
      id: 'task-9',
      content: 'Renew the bike insurance',
      kind: TipKind.TASK,
      source: TipSource.TASK_DIRECT,
      taskId: '9',
      features: { taskAgeDays: 3, priority: 2 },
    },
    ...written,
  ];
  const answer = await client.score({ userId, candidates, context: { timeZone: 'Europe/Amsterdam' } });
  heading(`3  Score: which one tip does ${userId} see now?`);
  say(
    dim(
      `   request   ${candidates.length} candidates: ${candidates.length - written.length} tasks, and the tips just written`,
    ),
  );
  table(
    ['', 'estimate', 'chance', 'tip', 'because'],
    answer.ranked.map(({ tipId, score, propensity, contributions }) => [
      tipId === answer.tipId ? '▶' : ' ',
      score.toFixed(3),
      percent(propensity),
      candidates.find(({ id }) => id === tipId)?.content ?? tipId,
      contributions
        .slice(0, 3)
        .map(({ feature, value }) => `${feature} ${value > 0 ? '+' : ''}${value.toFixed(2)}`)
        .join(', '),
    ]),
  );
  say(dim(`   decided by ${answer.policy} (${answer.modelVersion}); logged as decision ${answer.decisionId}`));
  say(dim(`   known of ${userId}: ${answer.featureValues.map(described).join(', ')}`));
  return answer;
}

/** Reports what the person did, and shows that the tables and the next answer know it. */
async function react(
  client: TipClient,
  publisher: EventPublisher,
  prisma: PrismaClient,
  { decisionId, tipId, featureValues }: ScoreResponse,
): Promise<void> {
  await publisher.publish({ userId, payload: { case: 'tipServed', value: { tipId, decisionId } } });
  const eventId = await publisher.publish({
    userId,
    payload: { case: 'tipFeedback', value: { tipId, decisionId, reaction: Reaction.DONE, dwellMs: 45_000n } },
  });
  const feedback = await waitFor('the reaction to be stored', () =>
    prisma.tipFeedback.findUnique({ where: { userId_eventId: { userId, eventId } } }),
  );
  const row = await waitFor('the decision to be stored', () => prisma.tipScore.findUnique({ where: { decisionId } }));
  const after = await client.score({
    userId,
    candidates: [{ id: 'any', kind: TipKind.ADVICE, source: TipSource.LLM }],
  });
  await waitFor('that decision to be stored', () =>
    prisma.tipScore.findUnique({ where: { decisionId: after.decisionId } }),
  );
  heading(`4  Reaction: ${userId} did it after 45 s`);
  say(
    `   reward ${green(`+${(feedback.rewardMilli / 1000).toFixed(1)}`)} for decision ${row.decisionId}, policy ${row.policy}${row.promptVersion ? `, prompt ${row.promptVersion}` : ''}`,
  );
  const moved = after.featureValues.filter((value) => valueNamed(featureValues, value.name) !== value.value);
  for (const { name, value } of moved.filter(({ name }) => name.endsWith('_30d'))) {
    say(`   ${name}  ${short(valueNamed(featureValues, name))} → ${bold(short(value))}`);
  }
}

/** Recomputes every decision there is about these people. */
async function verifyAll(database: Database): Promise<void> {
  const report = await verify(database, { userIds: people.map((person) => person.userId) });
  heading('5  Verify: what those decisions knew, recomputed from the events that each of them had seen');
  printReport({ ...report, counts: report.counts.filter(({ part }) => part === 'feature') });
}

const valueNamed = (values: readonly FeatureValue[], name: string): number | undefined =>
  values.find((each) => each.name === name)?.value;

const short = (value: number | undefined): string => (value === undefined ? '–' : String(Number(value.toPrecision(3))));

function described({ name, value, status }: FeatureValue): string {
  const doubt = status === FeatureStatus.STALE ? ' (stale)' : '';
  return value === undefined ? `${name} unknown` : `${name} ${short(value)}${doubt}`;
}

const listed = (intro: string, items: readonly string[]): string =>
  items.length === 0 ? '' : intro + items.join(', ');
