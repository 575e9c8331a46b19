import { gateLimits } from '../../experiments/gate.ts';
import type { Database } from '../../platform/database.ts';
import { cardStateOf } from '../../registry/card-problems.ts';
import { createCardStore } from '../../registry/card-store.ts';
import {
  canarySteps,
  foldRollouts,
  moveRollout,
  type RolloutCommand,
  type Standing,
  type StoredVerdict,
  servingOf,
  subjectName,
} from '../../registry/rollout.ts';
import { createRolloutStore } from '../../registry/rollout-store.ts';
import { type Dag, defineDag, type Json } from '../dag.ts';

/** Asks the gate about every policy on its way, by now, and keeps what it says. */
export type JudgePolicies = (
  database: Database,
  nowMs: number,
) => Promise<readonly Pick<StoredVerdict, 'subject' | 'status'>[]>;

/**
 * Takes each policy that may go on one step further, and nobody else: by the same rules as an operator, without the means to
 * override any. For those who trust the gate; it has no schedule.
 */
export function promote(judge: JudgePolicies): Dag {
  return defineDag({
    id: 'promote',
    steps: {
      'gate:judge': {
        async run({ database }) {
          const verdicts = await judge(database, Date.now());
          return verdicts.map(({ subject, status }) => ({ subject, status }));
        },
      },
      promote: { needs: ['gate:judge'], run: ({ database }) => promoteAll(database, Date.now()) },
    },
  });
}

/** The canary first: while there is one, no other policy can become it. */
async function promoteAll(database: Database, nowMs: number): Promise<Json> {
  const store = createRolloutStore(database);
  const before = servingOf(foldRollouts((await store.readSteps(0)) ?? []));
  const answers: { policy: string; went: string | null; because: string | null }[] = [];
  for (const standing of [...(before.canary ? [before.canary] : []), ...before.shadows]) {
    const rollouts = foldRollouts((await store.readSteps(0)) ?? []);
    const verdict = (await store.readVerdicts()).find(({ subject }) => subject === subjectName(standing));
    const [found] = await createCardStore(database).read([standing]);
    const moved = moveRollout(rollouts, {
      ...{ policy: standing.policy, version: standing.version, ...nextOf(standing), atMs: nowMs },
      ...{ actor: 'pipeline promote', caller: '', reason: 'the gate says PASS', verdict },
      expectedNumber: rollouts.number,
      card: found && cardStateOf(found.card, found.of, gateLimits),
    });
    const went = moved.kind === 'appended' && (await store.append(moved.steps));
    const step = moved.kind === 'appended' ? moved.steps[0] : undefined;
    answers.push({
      policy: standing.policy,
      went: went && step ? `${step.to} ${step.percent} %` : null,
      because: moved.kind === 'refused' ? moved.refusal.message : went ? null : 'somebody else took a step meanwhile',
    });
  }
  return answers;
}

function nextOf({ percent }: Standing): Pick<RolloutCommand, 'to' | 'percent'> {
  const next = canarySteps.find((each) => each > percent);
  return next === undefined ? { to: 'active' } : { to: 'canary', percent: next };
}
