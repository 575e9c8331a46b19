import { hash } from 'node:crypto';
import { type Buckets, type BucketTable, bucketTables, noBuckets, startFold } from '../features/buckets.ts';
import { personDeltas } from '../features/deltas.ts';
import type { PastEvent } from '../features/history-store.ts';
import { isVisible, parseSnapshot, type Snapshot } from '../features/snapshot.ts';
import type { Delta } from '../features/tables.ts';
import { toMs } from '../features/time.ts';
import type { TipScored } from '../gen/proto/oo/events/v1/decisions_pb.ts';

/** A decision, and what was known of the person when it was made. */
export interface PastDecision {
  /** In lower case. */
  readonly decisionId: string;
  readonly decidedAtMs: number;
  readonly decision: TipScored;
  /** What the read behind it could see. Undefined: nothing was read. */
  readonly snapshot: Snapshot | undefined;
  /** Folded from exactly the events that it had seen. They change when the next decision is asked for. */
  readonly buckets: Buckets;
}

/**
 * Every decision of a person's history, with what was known of them at that moment: an event counts if its transaction
 * was visible to the decision's read, whenever it occurred. So what came late is not there, as it was not then. Only the
 * given tables are folded. Pure; in the order of the snapshots, then of the ids.
 */
export function* atDecisions(
  history: readonly PastEvent[],
  tables: readonly BucketTable[] = bucketTables,
): Generator<PastDecision> {
  const bucketsAt = createView(contributionsOf(history, tables));
  for (const decision of history.flatMap(decisionOf).sort(inOrderOfSnapshots)) {
    yield { ...decision, buckets: decision.snapshot ? bucketsAt(decision.snapshot) : noBuckets };
  }
}

/** Whether a person is in a sample of a share of all: always the same people, and those of a smaller one. */
export function isSampled(userId: string, share: number): boolean {
  return Number.parseInt(hash('sha256', userId).slice(0, 12), 16) < share * 2 ** 48;
}

function decisionOf({ event: { eventId, occurredAt, payload } }: PastEvent): Omit<PastDecision, 'buckets'>[] {
  if (payload.case !== 'tipScored') return [];
  const decision = payload.value;
  const snapshot = parseSnapshot(decision.snapshot);
  return [{ decisionId: eventId.toLowerCase(), decidedAtMs: toMs(occurredAt), decision, snapshot }];
}

/** Of two reads with the same end, the later one finds fewer transactions running. */
function inOrderOfSnapshots(a: Omit<PastDecision, 'buckets'>, b: Omit<PastDecision, 'buckets'>): number {
  return (
    compare(a.snapshot?.xmax ?? 0n, b.snapshot?.xmax ?? 0n) ||
    (b.snapshot?.running.size ?? 0) - (a.snapshot?.running.size ?? 0) ||
    compare(a.decisionId, b.decisionId)
  );
}

const compare = <T extends bigint | string>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

/** What an event adds, and when that could be seen. */
interface Contribution {
  readonly transactionId: bigint;
  readonly deltas: readonly Delta[];
}

/** In the order of the transactions. */
function contributionsOf(history: readonly PastEvent[], tables: readonly BucketTable[]): readonly Contribution[] {
  const isFolded = ({ table }: Delta) => tables.some((each) => each === table);
  return history
    .map(({ transactionId, event }) => ({ transactionId, deltas: personDeltas(event).filter(isFolded) }))
    .filter(({ deltas }) => deltas.length > 0)
    .sort((a, b) => compare(a.transactionId, b.transactionId));
}

/**
 * The buckets at one snapshot after another. Each sees at least what those before it saw, so every event is added once,
 * however many decisions there are. A snapshot that comes out of order is answered all the same, from the start.
 */
function createView(contributions: readonly Contribution[]): (snapshot: Snapshot) => Buckets {
  let folding = startFold();
  let seen = new Set<bigint>();
  let newestSeen = 0n;
  let next = 0;
  /** Those that had begun and not ended. */
  let waiting: Contribution[] = [];

  const hasSeenTooMuch = ({ xmax, running }: Snapshot) =>
    newestSeen >= xmax || [...running].some((transactionId) => seen.has(transactionId));

  const startAnew = () => {
    folding = startFold();
    seen = new Set();
    newestSeen = 0n;
    next = 0;
    waiting = [];
  };

  const see = ({ transactionId, deltas }: Contribution) => {
    for (const delta of deltas) folding.add(delta);
    seen.add(transactionId);
    if (transactionId > newestSeen) newestSeen = transactionId;
  };

  return (snapshot) => {
    if (hasSeenTooMuch(snapshot)) startAnew();
    const from = next;
    while ((contributions[next]?.transactionId ?? snapshot.xmax) < snapshot.xmax) next++;
    const begun = [...waiting, ...contributions.slice(from, next)];
    waiting = [];
    for (const each of begun) {
      if (isVisible(snapshot, each.transactionId)) see(each);
      else waiting.push(each);
    }
    return folding.buckets;
  };
}
