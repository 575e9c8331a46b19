import { requestOf } from '../consumers/judge-policies.ts';
import { collectEvidence } from '../experiments/evidence-store.ts';
import { gateLimits } from '../experiments/gate.ts';
import { readPolicies } from '../pipelines/deciders.ts';
import { type LogOf, makeCard, type Said } from '../pipelines/make-card.ts';
import { reportShadows } from '../pipelines/shadow-report.ts';
import type { Database } from '../platform/database.ts';
import type { FieldViolation } from '../platform/errors.ts';
import { StartupError } from '../platform/run-main.ts';
import { type ModelCard, readCard } from '../registry/card.ts';
import { problemsOf } from '../registry/card-problems.ts';
import { createCardStore } from '../registry/card-store.ts';
import { foldRollouts, type Subject, servingOf, standingOf, subjectName } from '../registry/rollout.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';

export interface Gathered {
  readonly subject: Subject;
  readonly card: ModelCard;
  /** What would keep the policy from people. Empty: nothing. */
  readonly problems: readonly FieldViolation[];
}

/** Makes a card of a policy from all that the database says of it. Throws a StartupError where there is no such policy. */
export async function gatherCard(database: Database, name: string, said: Said, atMs: number): Promise<Gathered> {
  const known = await readPolicies(database);
  const policy = known.get(name);
  if (!policy) throw new StartupError(`There is no policy ${name}. There are ${[...known.keys()].join(', ')}.`);
  const subject = { policy: policy.name, version: policy.version };
  const [found] = await createCardStore(database).read([subject]);
  if (!found) throw new Error('the database answered nothing');
  const read = readCard(found.card);
  // a model has been measured on people whom it has not seen, which says more than a log of others' decisions
  const log = found.of.manifest ? undefined : await readLog(database, subject, atMs);
  const card = makeCard({ policy, of: found.of, earlier: read.kind === 'card' ? read.card : undefined, log, said });
  const checked = readCard(JSON.parse(JSON.stringify(card)));
  return {
    subject,
    card,
    problems: checked.kind === 'card' ? problemsOf(card, found.of, gateLimits) : checked.violations,
  };
}

/** Undefined: it is the active one, or was never asked beside it. */
async function readLog(database: Database, subject: Subject, atMs: number): Promise<LogOf | undefined> {
  const rollouts = foldRollouts((await createRolloutStore(database).readSteps(0)) ?? []);
  const standing = standingOf(rollouts, subject);
  const { active } = servingOf(rollouts);
  if (!active || (standing?.stage !== 'shadow' && standing?.stage !== 'canary')) return undefined;
  const evidence = await collectEvidence(database, requestOf(standing, active));
  const reports = await reportShadows(database, { policy: subject.policy, replicates: 0 });
  const report = reports.find(({ version }) => version === subject.version)?.evaluation;
  return { source: standing.stage, atMs, against: subjectName(active), evidence, report };
}
