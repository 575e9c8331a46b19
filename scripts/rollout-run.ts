import type { Client } from '@connectrpc/connect';
import {
  type AdminService,
  type PolicyStanding,
  type Rollout,
  RolloutStage,
} from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { heading, say } from './demo/print.ts';
import { clean, printPolicies, printPolicy, printSteps, printTaken } from './print-rollouts.ts';
import type { RolloutCommand } from './rollout-command.ts';
import { explainRefusal, RolloutFailure } from './rollout-failures.ts';
import { nextPlace, type Place, placeName, placeOf } from './rollout-steps.ts';

type Admin = Client<typeof AdminService>;
type Advance = Extract<RolloutCommand, { isDryRun: boolean }>;
type Other = Exclude<Extract<RolloutCommand, { by: string }>, Advance>;

/** Asks a server, and prints what it says. Throws a RolloutFailure on what it refuses; other errors are those of the call. */
export async function runRollout(admin: Admin, command: RolloutCommand): Promise<void> {
  switch (command.kind) {
    case 'list':
      return printPolicies(await admin.listPolicies({}), Date.now());
    case 'show':
      return show(admin, command.policy);
    case 'history':
      return printHistory(await readSteps(admin, command.policy), command.policy);
    case 'advance':
      return advance(admin, command);
    case 'retire':
      return move(admin, command, () => ({ stage: RolloutStage.RETIRED, percent: 0 }));
    case 'back':
      return back(admin, command);
  }
}

async function show(admin: Admin, name: string): Promise<void> {
  const [{ policies }, steps] = await Promise.all([admin.listPolicies({}), readSteps(admin, name)]);
  const own = policies.filter(({ policy }) => policy === name);
  if (own.length === 0) throw unknown(name, policies);
  for (const policy of own) printPolicy(policy, Date.now());
  heading('Its steps, newest first');
  printHistory(steps, name);
}

function printHistory(steps: readonly Rollout[], policy: string | undefined): void {
  if (steps.length === 0)
    say(`   ${policy === undefined ? 'No policy took a step' : `${clean(policy)} took no step`} yet.`);
  printSteps(steps);
}

/** All pages. There are few, as people take steps. */
async function readSteps(admin: Admin, policy = ''): Promise<readonly Rollout[]> {
  const steps: Rollout[] = [];
  let pageToken = '';
  do {
    const page = await admin.listRollouts({ policy, page: { pageSize: 500, pageToken } });
    steps.push(...page.rollouts);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return steps;
}

async function advance(admin: Admin, command: Advance): Promise<void> {
  const { percent } = command;
  return move(admin, command, (standing) => {
    const place = percent === undefined ? nextPlace(standing) : { stage: RolloutStage.CANARY, percent };
    if (!place) {
      const where = placeName(placeOf(standing));
      throw new RolloutFailure(`${clean(command.policy)} is ${where}: it stays until another policy takes its place.`);
    }
    return place;
  });
}

/** A step from where the policy stands now; whoever takes another one in between makes the server refuse it. */
async function move(
  admin: Admin,
  command: Advance | Other,
  placeFrom: (standing: PolicyStanding) => Place,
): Promise<void> {
  const { policies, lastNumber } = await admin.listPolicies({});
  const standing = find(policies, command.policy);
  const { stage, percent } = placeFrom(standing);
  const { policy, by, why } = command;
  const { override = '', diverges = '', isDryRun = false } = command.kind === 'advance' ? command : {};
  const { rollouts } = await admin
    .advanceRollout({
      ...{ policy, toStage: stage, trafficPercent: percent, expectedPreviousNumber: lastNumber },
      ...{ actor: by, reason: why, dryRun: isDryRun },
      ...{ overrideReason: override, expectedDivergence: diverges },
    })
    .catch((error) => refused(error, command, standing));
  printTaken({ steps: rollouts, isDryRun, standing });
}

/** Asks for nothing else before, so that as little as possible can go wrong. */
async function back(admin: Admin, command: Other): Promise<void> {
  const { policy, by, why } = command;
  const { rollouts } = await admin
    .rollBack({ policy, actor: by, reason: why })
    .catch((error) => refused(error, command, undefined));
  printTaken({ steps: rollouts, isDryRun: false, standing: undefined });
}

function refused(error: unknown, command: Advance | Other, standing: PolicyStanding | undefined): never {
  const why = explainRefusal(error, { command, standing, nowMs: Date.now() });
  throw why === undefined ? error : new RolloutFailure(why);
}

/** In the version that the server has. */
function find(policies: readonly PolicyStanding[], name: string): PolicyStanding {
  const own = policies.filter(({ policy }) => policy === name);
  const found = own.find(({ servedHere }) => servedHere);
  if (found) return found;
  if (own.length === 0) throw unknown(name, policies);
  throw new RolloutFailure(
    `${clean(name)} is not in the build of this server, so it takes no step here; back takes it away from people all the same.`,
  );
}

function unknown(name: string, policies: readonly PolicyStanding[]): RolloutFailure {
  const names = [...new Set(policies.map(({ policy }) => clean(policy)))].join(', ');
  return new RolloutFailure(`There is no policy ${clean(name)}. There are ${names}.`);
}
