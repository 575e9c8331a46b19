import { create } from '@bufbuild/protobuf';
import { type ListPoliciesResponse, ListPoliciesResponseSchema } from '../../../gen/proto/oo/admin/v1/admin_pb.ts';
import { foldRollouts, type Subject, standingOf, subjectName } from '../../../registry/rollout.ts';
import type { RolloutStore } from '../../../registry/rollout-store.ts';
import type { PolicySource } from './advance-rollout.ts';
import { toPolicyStanding } from './rollout-messages.ts';

export interface ListPoliciesDeps {
  readonly rolloutStore: Pick<RolloutStore, 'readSteps' | 'readVerdicts'>;
  readonly policies: PolicySource;
}

/** Where every policy stands, and what the gate said of it last. */
export function createListPolicies({ rolloutStore, policies }: ListPoliciesDeps) {
  return async (): Promise<ListPoliciesResponse> => {
    await policies.refresh();
    const known = policies.current();
    const [steps, verdicts] = await Promise.all([rolloutStore.readSteps(0), rolloutStore.readVerdicts()]);
    const rollouts = foldRollouts(steps ?? []);
    const here = [...known.values()].map(({ name, version }): Subject => ({ policy: name, version }));
    const isHere = ({ policy, version }: Subject) => known.get(policy)?.version === version;
    const subjects = [...here, ...rollouts.standings.filter((each) => !isHere(each))];
    const shown = subjects
      .toSorted((a, b) => (subjectName(a) < subjectName(b) ? -1 : 1))
      .map((subject) => ({
        ...{ policy: subject.policy, version: subject.version, servedHere: isHere(subject) },
        standing: standingOf(rollouts, subject),
        verdict: verdicts.find((verdict) => verdict.subject === subjectName(subject)),
      }));
    return create(ListPoliciesResponseSchema, {
      policies: shown.map(toPolicyStanding),
      lastNumber: rollouts.number,
    });
  };
}
