/**
 * `npx node notebooks/made-up-people.ts [service] [NATS]`: 40 people who do not exist ask the service for a tip six times
 * each, at all hours, and react. The hour matters to them: they like overdue tasks before noon alone, and mostly say so.
 * They ask under the same request ids every time: again, they get the same answers.
 */
import { createEventPublisher, createTipClient, openBus } from '../client/index.ts';
import { Reaction, TipKind, TipSource } from '../gen/proto/oo/events/v1/tip_pb.ts';
import { idAt } from '../platform/ids.ts';

const [baseUrl = 'http://127.0.0.1:8080', natsUrl = 'nats://127.0.0.1:4222'] = process.argv.slice(2);
const bornMs = Date.UTC(2026, 10, 1);
const people = 40;
const tipsEach = 6;

const overdue = (id: string) => ({
  id,
  kind: TipKind.TASK,
  source: TipSource.TASK_DIRECT,
  features: { isOverdue: true, priority: 3 },
});
const other = (id: string) => ({
  id,
  kind: TipKind.TASK,
  source: TipSource.TASK_DIRECT,
  features: { isOverdue: false, priority: 3 },
});

const client = createTipClient({ baseUrl });
const bus = await openBus({ url: natsUrl, name: 'made-up-people' });
const publisher = createEventPublisher({ bus, producer: 'made-up-people' });

async function live(person: number, visit: number): Promise<void> {
  const userId = `made-up-${person}`;
  const hourOfDay = (5 * person + 7 * visit) % 24;
  const candidates = candidatesOf(person, visit);
  const requestId = idAt(bornMs, `made up: ${person}, ${visit}`);
  const context = { hourOfDay, dayOfWeek: 1 + (person % 7) };
  const { tipId, decisionId } = await client.score({ requestId, userId, candidates, context });
  const isSilent = (person + visit) % 5 === 0;
  if (isSilent) return;
  const isWelcome = tipId.startsWith('overdue') === hourOfDay < 12;
  const saysSo = (7 * person + visit) % 6 !== 0;
  const reaction = isWelcome === saysSo ? Reaction.DONE : Reaction.DISMISS;
  const value = { tipId, decisionId, reaction, dwellMs: 30_000n };
  await publisher.publish({ userId, payload: { case: 'tipFeedback', value } });
}

/** Two to four, of both kinds; now and then no task is overdue, and there is nothing to compare. */
function candidatesOf(person: number, visit: number) {
  if (person % 4 === 0 && visit === 5) return [other('other')];
  const more = [...(visit % 3 === 0 ? [overdue('overdue-2')] : []), ...(visit === 1 ? [other('other-2')] : [])];
  return [overdue('overdue'), other('other'), ...more];
}

for (let visit = 0; visit < tipsEach; visit++) {
  await Promise.all(Array.from({ length: people }, (_, person) => live(person, visit)));
}
await bus.close();
