// No card, no promotion: by RPC, on the server's own routes.

import { readFile } from 'node:fs/promises';
import { stripVTControlCharacters } from 'node:util';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { egreedyV1 } from '../experiments/policies/egreedy-v1.ts';
import { egreedyV2 } from '../experiments/policies/egreedy-v2.ts';
import { linUcb } from '../experiments/policies/linucb-v1.ts';
import { createModelPolicy } from '../experiments/policies/of-model.ts';
import type { Policy } from '../experiments/policies/policy.ts';
import { softmax } from '../experiments/policies/softmax.ts';
import { BadRequestSchema, ErrorInfoSchema } from '../gen/proto/google/rpc/error_details_pb.ts';
import { AdminService, ModelCardFormat, RolloutStage } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { cardHash, type ModelCard } from '../registry/card.ts';
import { createCardStore } from '../registry/card-store.ts';
import { createModelStore } from '../registry/model-store.ts';
import { foldRollouts, standingOf, subjectName } from '../registry/rollout.ts';
import { createRolloutStore } from '../registry/rollout-store.ts';
import { waitFor } from '../scripts/demo/wait-for.ts';
import { gatherCard } from '../scripts/gather-card.ts';
import { readModelCommand } from '../scripts/model-command.ts';
import { runModel } from '../scripts/model-run.ts';
import { modelCardOf, policyCardOf } from './_util/cards.ts';
import { failureOf } from './_util/failure-of.ts';
import { type Loop, startLoop } from './_util/loop.ts';
import { manifestOf, registrationOf } from './_util/models.ts';
import { takeSteps } from './_util/rollouts.ts';
import { newFolder } from './_util/servers.ts';

const by = { actor: 'anna', reason: 'a test' };

let loop: Loop;
beforeAll(async () => {
  loop = await startLoop();
  const store = createRolloutStore(loop.database);
  await waitFor('the first step', async () => (await store.readSteps(0)) !== undefined);
});
afterAll(() => loop[Symbol.asyncDispose]());

const admin = () =>
  createClient(AdminService, createGrpcTransport({ baseUrl: loop.baseUrl, defaultTimeoutMs: 10_000 }));
const cards = () => createCardStore(loop.database);
const subjectOf = ({ name, version }: Pick<Policy, 'name' | 'version'>) => ({ policy: name, version });

/** Lets the gate have said something good of where a policy stands now. */
async function pass(policy: Pick<Policy, 'name' | 'version'>) {
  const store = createRolloutStore(loop.database);
  const subject = subjectOf(policy);
  const step = standingOf(foldRollouts((await store.readSteps(0)) ?? []), subject)?.number ?? 0;
  await store.putVerdict({
    ...{ subject: subjectName(subject), step, judgedAtMs: Date.now(), limitsVersion: '1', status: 'PASS' },
    criteria: [{ criterion: 'reward', status: 'PASS', numbers: {}, limit: 0, sentence: 'No harm is found.' }],
  });
}

async function toCanary(policy: Pick<Policy, 'name' | 'version'>, more: object = {}) {
  const { lastNumber } = await admin().listPolicies({});
  const asked = { policy: policy.name, toStage: RolloutStage.CANARY, trafficPercent: 1, ...by, ...more };
  return (await admin().advanceRollout({ ...asked, expectedPreviousNumber: lastNumber })).rollouts;
}

/** Whatever is in it, as if somebody had stored it by other means. */
async function putAnything(policy: Pick<Policy, 'name' | 'version'>, card: unknown) {
  await cards().put({ subject: subjectOf(policy), card: card as ModelCard, actor: 'test', atMs: Date.now() });
}

/** All that is wrong with a card, where a step is refused for it. */
async function problemsIn(step: Promise<unknown>) {
  const error = await step.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error),
  );
  const violations = (error?.findDetails(BadRequestSchema) ?? []).flatMap(({ fieldViolations }) => fieldViolations);
  return {
    code: error?.code,
    reason: error?.findDetails(ErrorInfoSchema)[0]?.reason,
    problems: violations.map(({ field, description }) => [field, description]),
  };
}

/** A part of a card that does not keep to its form. */
function without(card: ModelCard, parts: readonly (string | number)[]): unknown {
  return replaced(card, parts, undefined);
}

/** Undefined: left out. */
function replaced(of: unknown, [part, ...deeper]: readonly (string | number)[], value: unknown): unknown {
  if (part === undefined) return value;
  const copy = structuredClone(of) as Record<string, unknown>;
  const inside = replaced(copy[part], deeper, value);
  if (inside !== undefined) copy[part] = inside;
  else if (Array.isArray(copy)) copy.splice(Number(part), 1);
  else delete copy[part];
  return copy;
}

describe('a policy of the build', () => {
  it('without a card serves nobody, whatever the gate and people say', async () => {
    await takeSteps(loop.database, linUcb, ['registered', 'shadow']);
    await pass(linUcb);
    for (const more of [{}, { overrideReason: 'the board asked' }, { dryRun: true }])
      expect(await failureOf(toCanary(linUcb, more))).toMatchObject({
        ...{ code: Code.FailedPrecondition, reason: 'CARD_MISSING', fields: ['policy'] },
      });
  });

  it('whose card lacks something serves nobody, and the newest card counts', async () => {
    const card = policyCardOf(subjectOf(linUcb));
    const wrong: readonly (readonly [unknown, string, string])[] = [
      [without(card, ['log', 'fairness', 1]), 'card.log.fairness', 'has nothing by integrations'],
      [
        without(card, ['log', 'fairness', 0, 'gain', 0, 'figure', 'low']),
        'card.log.fairness[0].gain[0].figure.low',
        'must be a finite number',
      ],
      [policyCardOf(subjectOf(softmax)), 'card.model.hash', 'is of another model'],
      ['text', 'card.', 'must be an object'],
    ];
    for (const [each, field, problem] of wrong) {
      await putAnything(linUcb, card);
      await putAnything(linUcb, each);
      const refused = await problemsIn(toCanary(linUcb));
      expect(refused.reason).toBe('CARD_INCOMPLETE');
      expect(refused.problems).toContainEqual([field, expect.stringContaining(problem)]);
    }
    expect((await admin().listPolicies({})).policies.find(({ policy }) => policy === 'linucb-v1')).toMatchObject({
      stage: RolloutStage.SHADOW,
    });
  });

  it('with a complete one goes on, and the step keeps the hash of it', async () => {
    const card = policyCardOf(subjectOf(linUcb));
    await putAnything(linUcb, card);
    expect(await toCanary(linUcb)).toMatchObject([{ trafficPercent: 1, cardHash: cardHash(card) }]);
    const { rollouts } = await admin().listRollouts({ policy: 'linucb-v1' });
    expect(rollouts.map(({ cardHash }) => cardHash)).toEqual([cardHash(card), '', '']);
    await putAnything(linUcb, 'lost');
    const back = await admin().rollBack({ policy: 'linucb-v1', ...by });
    expect(back.rollouts).toMatchObject([{ toStage: RolloutStage.ROLLED_BACK, cardHash: '' }]);
  });

  it.each(['UPDATE policy_cards SET actor = $$x$$', 'DELETE FROM policy_cards', 'TRUNCATE policy_cards'])(
    'has cards that are only added to: %s is refused by the database',
    async (statement) => {
      await expect(loop.database.query(statement)).rejects.toThrow('only appended to');
    },
  );
});

describe('a registered model', () => {
  const register = async (model: string, change: (card: ModelCard) => unknown = (card) => card) => {
    const registration = registrationOf({ model });
    const card = change(modelCardOf(registration.manifest)) as object;
    const version = await createModelStore(loop.database).register({ ...registration, card });
    const policy = createModelPolicy(version);
    await takeSteps(loop.database, policy, ['registered', 'shadow']);
    await pass(policy);
    return { version, policy };
  };

  it('without intervals of fairness cannot be promoted', async () => {
    const difference = ['evaluation', 'fairness', 0, 'selectionRate', 'difference'];
    const { policy } = await register('unfair', (card) => without(card, [...difference, 'low']));
    for (const more of [{}, { overrideReason: 'we are in a hurry' }]) {
      const refused = await problemsIn(toCanary(policy, more));
      expect(refused).toMatchObject({ code: Code.FailedPrecondition, reason: 'CARD_INCOMPLETE' });
      expect(refused.problems).toContainEqual([
        'card.evaluation.fairness[0].selectionRate.difference.low',
        'must be a finite number',
      ]);
    }
  });

  it('whose number could not be computed cannot be promoted, and the reason is told', async () => {
    const none = { value: null, reason: 'fewer than two groups are large enough' };
    const { policy } = await register('unknown', (card) =>
      replaced(card, ['evaluation', 'fairness', 1, 'reward', 'difference'], none),
    );
    const { problems } = await problemsIn(toCanary(policy));
    expect(problems).toContainEqual([
      'card.evaluation.fairness.integrations.reward.difference',
      `could not be computed: ${none.reason}`,
    ]);
  });

  it('with the card that it was registered with goes on', async () => {
    const { policy, version } = await register('fair');
    const [step] = await toCanary(policy);
    expect(step).toMatchObject({ policy: 'fair.1', cardHash: cardHash(modelCardOf(version.manifest)) });
    await admin().rollBack({ policy: 'fair.1', ...by });
  });
});

describe('the models', () => {
  const list = async () => {
    const { models } = await admin().listModels({});
    return new Map(models.map(({ name, versions }) => [name, versions]));
  };

  it('are those that are registered and those of the build, with what their cards lack', async () => {
    const models = await list();
    expect([...models.keys()]).toEqual([...models.keys()].toSorted());
    expect(models.get('fair')).toMatchObject([
      { version: '1', kind: 'linear', policy: 'fair.1', actor: 'anna', cardProblems: [] },
    ]);
    expect(models.get('fair')?.[0]?.cardHash).toMatch(/^[0-9a-f]{64}$/);
    expect(models.get('unfair')?.[0]?.cardProblems[0]).toContain('evaluation.fairness[0].selectionRate');
    expect(models.get('softmax')).toMatchObject([
      { version: softmax.version, kind: 'policy', cardProblems: ['card is missing'], cardHash: '', actor: '' },
    ]);
  });

  it('have the aliases that the rollouts give them', async () => {
    const active = egreedyV2.name;
    await takeSteps(loop.database, egreedyV1, ['registered', 'shadow', 'canary 1'], Date.now() - 5 * 86_400_000);
    await takeSteps(loop.database, softmax, ['registered', 'shadow']);
    const models = await list();
    const aliases = [...models].flatMap(([name, versions]) =>
      versions.flatMap(({ aliases }) => aliases.map((alias) => [alias, name])),
    );
    expect(aliases.toSorted()).toEqual([
      ['challenger', 'egreedy-v1'],
      ['champion', active],
      ['shadow', 'softmax'],
    ]);
    await admin().rollBack({ policy: 'egreedy-v1', ...by });
  });

  it('come a page at a time', async () => {
    const names: string[] = [];
    let pageToken = '';
    do {
      const page = await admin().listModels({ page: { pageSize: 2, pageToken } });
      expect(page.models.length).toBeLessThanOrEqual(2);
      names.push(...page.models.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(names).toEqual([...(await list()).keys()]);
    expect(await failureOf(admin().listModels({ page: { pageToken: 'x' } }))).toMatchObject({
      fields: ['page.page_token'],
    });
  });

  it('have their newest version first, and it is the one that is meant without a version', async () => {
    const store = createModelStore(loop.database);
    for (const code of ['old', 'new']) await store.register(registrationOf({ model: 'twice', code }));
    expect((await list()).get('twice')?.map(({ version }) => version)).toEqual(['2', '1']);
  });

  it('are there where this build cannot load them', async () => {
    await createModelStore(loop.database).register(registrationOf({ model: 'strange', rewardVersion: '0' }));
    expect((await list()).get('strange')).toMatchObject([{ policy: 'strange.1', policyVersion: '' }]);
  });
});

describe('a card', () => {
  const versionOf = async (model: string) => {
    const { models } = await admin().listModels({});
    return models.find(({ name }) => name === model)?.versions[0]?.policyVersion ?? '';
  };
  const asked = { model: 'fair', version: '1' };

  it.each([
    [ModelCardFormat.UNSPECIFIED, ['cardJson', 'cardMarkdown']],
    [ModelCardFormat.JSON, ['cardJson']],
    [ModelCardFormat.MARKDOWN, ['cardMarkdown']],
    [ModelCardFormat.CYCLONEDX, ['cardCyclonedx']],
    [ModelCardFormat.HUGGING_FACE, ['cardHuggingFace']],
  ])('comes in the form %j and in no other', async (format, fields) => {
    const answer = await admin().getModelCard({ ...asked, format });
    const { cardJson, cardMarkdown, cardCyclonedx, cardHuggingFace } = answer;
    const all = Object.entries({ cardJson, cardMarkdown, cardCyclonedx, cardHuggingFace });
    expect(all.filter(([, text]) => text !== '').map(([name]) => name)).toEqual(fields);
    expect(answer.cardProblems).toEqual([]);
    expect(answer.cardHash).toBe(cardHash(modelCardOf(manifestOf({ model: 'fair' }))));
  });

  it('is what was stored, with what happened to the model since', async () => {
    const { cardJson, cardMarkdown } = await admin().getModelCard(asked);
    expect(JSON.parse(cardJson)).toEqual(modelCardOf(manifestOf({ model: 'fair' })));
    expect(cardMarkdown).toMatch(/^# fair\/1\n\n\*\*The card is complete\.\*\* Nobody asked/); // of where it was before
    await takeSteps(loop.database, { name: 'fair.1', version: await versionOf('fair') }, ['shadow']);
    await pass({ name: 'fair.1', version: await versionOf('fair') });
    const later = await admin().getModelCard(asked);
    expect(later.cardMarkdown).toMatch(/^# fair\/1\n\n\*\*May be promoted\.\*\*/);
    expect(cardMarkdown).toMatch(/\| canary 1 % \| anna \| a test \| PASS \| `[0-9a-f]{12}` \|/);
  });

  it('that is none has a page all the same, which says so', async () => {
    const answer = await admin().getModelCard({ model: 'softmax', version: softmax.version });
    expect(answer).toMatchObject({ cardJson: '', cardProblems: ['card is missing'], cardHash: '' });
    expect(answer.cardMarkdown).toContain('**Blocked by one problem**');
  });

  it('tells of the steps of its own version alone', async () => {
    await takeSteps(loop.database, { name: 'softmax', version: 'old' }, ['registered', 'retired']);
    const pageOf = async (version: string) => (await admin().getModelCard({ model: 'softmax', version })).cardMarkdown;
    expect(await pageOf('old')).toContain('| retired |');
    expect(await pageOf(softmax.version)).not.toContain('| retired |');
  });

  it.each<[string, object, object]>([
    ['a model that there is not', { model: 'best' }, { code: Code.NotFound, reason: 'NO_MODEL' }],
    ['a version that there is not', { version: '9' }, { code: Code.NotFound, reason: 'NO_MODEL' }],
    ['no model', { model: '' }, { code: Code.InvalidArgument, fields: ['model'] }],
    ['no version', { version: '' }, { code: Code.InvalidArgument, fields: ['version'] }],
    ['a form that there is not', { format: 9 }, { code: Code.InvalidArgument, fields: ['format'] }],
  ])('is not given of %s', async (_, wrong, expected) => {
    expect(await failureOf(admin().getModelCard({ ...asked, ...wrong }))).toMatchObject(expected);
  });
});

describe('npm run model', () => {
  async function run(...args: string[]) {
    const written: string[] = [];
    const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
    const failure = await runModel(admin(), readModelCommand(args).command)
      .then(
        () => '',
        (error) => String(error.message),
      )
      .finally(() => spy.mockRestore());
    return stripVTControlCharacters(written.join('')) + failure;
  }

  it('lists what there is', async () => {
    const text = await run();
    expect(text).toMatch(/fair +1 +linear +shadow +shadow +complete/);
    expect(text).toMatch(/softmax +\S+ +policy +shadow +none/);
  });

  it('shows a model by its name, with its version, or by its policy', async () => {
    const [byName, byVersion, byPolicy] = [
      await run('show', 'fair'),
      await run('show', 'fair/1'),
      await run('show', 'fair.1'),
    ];
    expect(byName).toContain('Its card is complete');
    expect([byVersion, byPolicy]).toEqual([byName, byName]);
    expect(await run('show', 'unfair')).toContain('- evaluation.fairness[0].selectionRate.difference.low must be');
  });

  it('prints cards, and writes them to files', async () => {
    expect(await run('card', 'fair/1')).toMatch(/^# fair\/1\n/);
    expect(JSON.parse(await run('card', 'fair', '--format', 'cyclonedx'))).toMatchObject({ bomFormat: 'CycloneDX' });
    expect(await run('card', 'fair', '--format', 'hugging-face')).toMatch(/^---\nlibrary_name: oo-ml\n/);
    const out = `${newFolder('card')}.json`;
    await run('card', 'fair', '--format', 'json', '--out', out);
    expect(JSON.parse(await readFile(out, 'utf8'))).toMatchObject({ schema: 1, model: { name: 'fair' } });
  });

  it.each([
    [['show', 'best'], 'There is no model best. There are egreedy-v1,'],
    [['show', 'fair/9'], 'There is no version 9 of fair. There are 1.'],
    [['card', 'softmax', '--format', 'json'], 'softmax has no card that could be written as json: card is missing.'],
  ])('%j says what there is not', async (args, expected) => {
    expect(await run(...args)).toContain(expected);
  });
});

describe('a card that is made', () => {
  it('of what the log does not say yet is not complete, and says so', async () => {
    const { card, problems } = await gatherCard(loop.database, 'softmax', { owner: 'recommendations' }, Date.now());
    expect(card).toMatchObject({ model: { name: 'softmax', kind: 'policy' }, log: { source: 'shadow', decisions: 0 } });
    expect(problems).toEqual([{ field: 'log.decisions', description: expect.stringContaining('is 0') }]);
    const nobody = await gatherCard(loop.database, 'softmax', { owner: undefined }, Date.now());
    expect(nobody.problems).toContainEqual({ field: 'owner', description: 'must not be empty' });
    await expect(gatherCard(loop.database, 'best', { owner: 'x' }, 0)).rejects.toThrow('There is no policy best.');
  });

  it('of a registered model keeps what was measured when it was trained', async () => {
    const { card, problems } = await gatherCard(loop.database, 'fair.1', { owner: 'others' }, Date.now());
    expect(problems).toEqual([]);
    expect(card).toEqual({ ...modelCardOf(manifestOf({ model: 'fair' })), owner: 'others' });
  });
});
