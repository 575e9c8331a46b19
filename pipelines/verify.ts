import { createPopulationReader, type PopulationReader } from '../experiments/population-store.ts';
import { firstDayRead, profileTables } from '../features/definitions.ts';
import type { Database } from '../platform/database.ts';
import { lazyOnnxPool } from '../registry/onnx/lazy-pool.ts';
import { type DeciderOf, openDeciders } from './deciders.ts';
import { type History, readHistories, type Selection } from './histories.ts';
import { atDecisions, type PastDecision } from './point-in-time.ts';
import { type Comparison, type Part, type Verdict, verifyDecision } from './verify-decision.ts';

/** What a verification found. */
export interface Report {
  readonly people: number;
  /** Decisions that were recomputed. */
  readonly decisions: number;
  /** Those of them that agree with the log in everything. */
  readonly equal: number;
  /** Those of them that had read nothing: they must not know anything. */
  readonly withoutPerson: number;
  /** Decisions beside those, whose features reach into a month of events that was dropped. */
  readonly tooOld: number;
  /** Decisions by policies, or versions of them, that this build does not have, by policy: their draw is not replayed. */
  readonly notReplayed: ReadonlyMap<string, number>;
  /** In the order of first appearance: features, entries of vectors, then what follows from them. */
  readonly counts: readonly Count[];
  /** The first few differences. */
  readonly examples: readonly Example[];
}

/** How often one thing that decisions say was found right and wrong. */
export interface Count extends Readonly<Record<Verdict, number>> {
  readonly part: Part;
  readonly name: string;
}

export interface Example extends Comparison {
  readonly decisionId: string;
}

export interface VerifyOptions extends Selection {
  /** Called after every person. */
  readonly onProgress?: (report: Report) => void;
}

const examplesMax = 10;

/**
 * Recomputes logged decisions from `events`, and from what everybody had taught the policies then, and compares each with
 * what was logged. Reads only; memory holds one person at a time.
 */
export async function verify(database: Database, { onProgress, ...selection }: VerifyOptions = {}): Promise<Report> {
  const tally = startTally();
  const populations = createPopulationReader(database);
  await using onnx = lazyOnnxPool();
  const deciderOf = await openDeciders(database, onnx);
  for await (const history of readHistories(database, selection)) {
    await verifyPerson(tally, history, { populations, deciderOf });
    onProgress?.(tally.report());
  }
  return tally.report();
}

async function verifyPerson(
  tally: Tally,
  { events, completeFromDay }: History,
  { populations, deciderOf }: { readonly populations: PopulationReader; readonly deciderOf: DeciderOf },
) {
  let isCounted = false;
  for (const past of atDecisions(events, profileTables)) {
    if (past.snapshot && isTooOld(past.decidedAtMs, completeFromDay)) tally.addTooOld();
    else {
      const decider = await deciderOf(past.decision);
      const population = await populations.read(past.decision.populationId);
      tally.add(past, verifyDecision(past, population, decider), decider.policy !== undefined);
    }
    if (!isCounted) tally.addPerson();
    isCounted = true;
  }
}

/** Whether an event that a decision had seen may have been dropped: none is stored before the day it occurs on. */
export function isTooOld(decidedAtMs: number, completeFromDay: number | undefined): boolean {
  return completeFromDay !== undefined && firstDayRead(decidedAtMs) < completeFromDay;
}

export interface Tally {
  addPerson(): void;
  addTooOld(): void;
  add(past: PastDecision, comparisons: readonly Comparison[], isReplayed: boolean): void;
  report(): Report;
}

export function startTally(): Tally {
  let people = 0;
  let decisions = 0;
  let equal = 0;
  let withoutPerson = 0;
  let tooOld = 0;
  const notReplayed = new Map<string, number>();
  const counts = new Map<string, { part: Part; name: string } & Record<Verdict, number>>();
  const examples: Example[] = [];

  const count = ({ part, name, verdict }: Comparison) => {
    const key = `${part} ${name}`;
    const row = counts.get(key) ?? { part, name, match: 0, mismatch: 0, missing: 0, extra: 0 };
    counts.set(key, row);
    row[verdict]++;
  };

  return {
    addPerson: () => {
      people++;
    },
    addTooOld: () => {
      tooOld++;
    },
    add({ decisionId, decision, snapshot }, comparisons, isReplayed) {
      decisions++;
      if (!snapshot) withoutPerson++;
      if (!isReplayed) {
        const policy = `${decision.policy} ${decision.policyVersion}`;
        notReplayed.set(policy, (notReplayed.get(policy) ?? 0) + 1);
      }
      for (const comparison of comparisons) count(comparison);
      const wrong = comparisons.filter(({ verdict }) => verdict !== 'match');
      if (wrong.length === 0) equal++;
      for (const each of wrong.slice(0, examplesMax - examples.length)) examples.push({ ...each, decisionId });
    },
    report: () => ({
      people,
      decisions,
      equal,
      withoutPerson,
      tooOld,
      notReplayed,
      counts: [...counts.values()],
      examples,
    }),
  };
}
