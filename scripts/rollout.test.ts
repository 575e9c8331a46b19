// The command against the server's own routes over steps in memory; where it is about the process, as one.

import { execFile } from 'node:child_process';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { type ConnectRouter, createClient, createRouterTransport, type Interceptor } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { gateLimits } from '../experiments/gate.ts';
import { AdminService } from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { unauthenticated, unavailable } from '../platform/errors.ts';
import { unchanging } from '../platform/follow.ts';
import { policyHash } from '../registry/card.ts';
import type { FoundCard } from '../registry/card-store.ts';
import { firstStep, foldRollouts, type RolloutStep, type StoredVerdict, standingOf } from '../registry/rollout.ts';
import type { RolloutStore } from '../registry/rollout-store.ts';
import { createErrorMapper, createErrorsInterceptor } from '../server/interceptors/errors.ts';
import { validateInterceptor } from '../server/interceptors/validate.ts';
import { createAdvanceRollout } from '../server/routes/admin/advance-rollout.ts';
import { createListPolicies } from '../server/routes/admin/list-policies.ts';
import { createListRollouts } from '../server/routes/admin/list-rollouts.ts';
import { createRollBack } from '../server/routes/admin/roll-back.ts';
import { policyCardOf } from '../tests/_util/cards.ts';
import { readRolloutCommand } from './rollout-command.ts';
import { explainFailure } from './rollout-failures.ts';
import { runRollout } from './rollout-run.ts';

const script = fileURLToPath(new URL('./rollout.ts', import.meta.url));
const dayMs = 86_400_000;
const newest = { policy: 'new', version: '1' };
const by = ['--by', 'ana', '--why', 'a try'] as const;

let steps: RolloutStep[] = [];
let verdicts: StoredVerdict[] = [];
let nowMs = 0;
let fault: (() => never) | undefined;
let card: FoundCard['card'];
let keys: (string | null)[] = [];
let url = '';

const store: Pick<RolloutStore, 'readSteps' | 'readVerdicts' | 'append' | 'list'> = {
  async readSteps() {
    fault?.();
    return steps.length === 0 ? undefined : steps;
  },
  readVerdicts: async () => verdicts,
  async append(more) {
    if (more[0]?.number !== steps.length + 1) return false;
    steps = [...steps, ...more];
    return true;
  },
  async list({ limit, before = Number.POSITIVE_INFINITY, policy }) {
    const own = steps.filter((step) => step.number < before && (policy === undefined || step.policy === policy));
    return { steps: own.toReversed().slice(0, limit), isLast: own.length <= limit };
  },
};

const deps = {
  ...{ rolloutStore: store, rollouts: { refresh: async () => undefined }, clock: () => nowMs, log: { info: () => {} } },
  cardStore: { read: async () => [{ card, of: { hash: policyHash(newest), manifest: undefined } }] },
  cardRules: gateLimits,
  policies: unchanging(new Map(['old', 'new'].map((name) => [name, { name, version: '1' }]))),
};

const interceptors: Interceptor[] = [
  createErrorsInterceptor(createErrorMapper({ error: () => {} }, () => 'error-1')),
  validateInterceptor,
  (next) => (request) => {
    keys.push(request.header.get('authorization'));
    return next(request);
  },
];

const routes = (router: ConnectRouter) =>
  router.service(AdminService, {
    advanceRollout: createAdvanceRollout(deps),
    listPolicies: createListPolicies(deps),
    listRollouts: createListRollouts(deps),
    rollBack: createRollBack(deps),
  });

const admin = createClient(AdminService, createRouterTransport(routes, { router: { interceptors } }));
const server = createServer(connectNodeAdapter({ routes, interceptors }));

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

beforeEach(() => {
  nowMs = Date.now() - 30 * dayMs;
  const first = { atMs: nowMs, actor: 'DEFAULT_POLICY', caller: '', reason: 'the first policy of this database' };
  steps = [firstStep({ policy: 'old', version: '1' }, first)];
  [verdicts, keys, fault, card] = [[], [], undefined, policyCardOf(newest)];
});

interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** In this process. */
async function run(args: readonly string[]): Promise<Run> {
  const written: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  const { command } = readRolloutCommand(args);
  const failure = await runRollout(admin, command)
    .then(
      () => undefined,
      (error) => explainFailure(error, { url, hasKey: false, kind: command.kind }) ?? String(error.stack),
    )
    .finally(() => spy.mockRestore());
  const stdout = stripVTControlCharacters(written.join(''));
  return { status: failure === undefined ? 0 : 1, stdout, stderr: failure ?? '' };
}

/** As a process. */
async function start(args: readonly string[], key = ''): Promise<Run> {
  return new Promise((resolve) => {
    const env = { ...process.env, NO_COLOR: '1', OO_API_KEY: key };
    execFile(process.execPath, [script, ...args], { env }, (error, stdout, stderr) =>
      resolve({ status: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

async function advance(...more: readonly string[]) {
  return run(['advance', 'new', ...by, ...more]);
}

function judged(status: StoredVerdict['status']): void {
  const criteria = [{ criterion: 'reward', status, numbers: {}, limit: 0, sentence: 'It earns as much.' }];
  const step = standingOf(foldRollouts(steps), { policy: 'new', version: '1' })?.number ?? 0;
  verdicts = [{ subject: 'new 1', step, judgedAtMs: nowMs, limitsVersion: '1', status, criteria }];
}

describe('npm run rollout', () => {
  it('takes a policy all the way, and back', async () => {
    const places: string[] = [];
    for (let i = 0; i < 8; i++) {
      nowMs += dayMs;
      judged('PASS');
      const { stdout, stderr } = await advance();
      places.push(/→ (.*), as step|: (registered), as step/.exec(stdout)?.slice(1).join('') ?? stderr);
    }
    expect(places).toEqual([
      ...['registered', 'shadow'],
      ...['canary 1 %', 'canary 5 %', 'canary 10 %', 'canary 25 %', 'canary 50 %', 'active'],
    ]);
    expect((await run([])).stdout).toContain('new decides about everybody.');
    expect((await advance()).stderr).toBe('new is active: it stays until another policy takes its place.');

    const back = await run(['back', 'new', '--by', 'bo', '--why', 'people complain']);
    expect(back).toMatchObject({ status: 0, stderr: '' });
    expect(back.stdout).toContain('new: active → rolled back, as step 11');
    expect(back.stdout).toContain('with it, old: retired → active');
    const history = await run(['history']);
    expect(history.stdout.match(/#\d+/g)).toEqual(Array.from({ length: 12 }, (_, i) => `#${12 - i}`));
    expect((await run(['retire', 'new', ...by])).stdout).toContain('new: rolled back → retired, as step 13');
  });

  it('shows what the gate says, and what went on against it', async () => {
    await advance();
    await advance('--diverges', 'it explores');
    nowMs += dayMs;
    judged('FAIL');
    const refused = await advance();
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toContain('the verdict is FAIL; an override needs a reason. See why with npm run rollout');
    expect((await advance('--override', 'we learn', '--dry-run')).stdout).toContain('Nothing was done. What would be');
    expect(steps).toHaveLength(3);
    await advance('--override', 'we learn');
    const { stdout } = await run(['show', 'new']);
    for (const text of [
      'canary 1 % since',
      'reward      FAIL   It earns as much.',
      '“we learn”',
      '“it explores”',
      '#4',
    ])
      expect(stdout).toContain(text);
    expect((await run([])).stdout).toContain('canary 1 % (!)');
  });

  it('lets nobody on without a card on which nothing is missing, whatever else is said', async () => {
    await advance();
    await advance();
    nowMs += dayMs;
    judged('FAIL');
    card = undefined;
    const missing = await advance('--override', 'we learn');
    expect(missing.stderr).toMatch(
      /^Nothing was done with new: it has no model card: make one before it serves anyone\. npm run model -- show new /,
    );
    card = { ...policyCardOf(newest), log: null };
    const { stderr } = await advance('--override', 'we learn');
    expect(stderr).toContain(
      'its model card is not complete, so make another one: log is missing: nobody looked at what',
    );
    expect(stderr).toContain('npm run card -- make new makes one. Nothing lifts this, no override either.');
    expect(steps).toHaveLength(3);
  });

  it('explains that nobody leaves the shadow within a day', async () => {
    await advance();
    await advance();
    nowMs += dayMs - 60_000;
    judged('PASS');
    const { status, stderr } = await advance('--override', 'I want it');
    expect(stderr).toMatch(
      /^Nothing was done with new: it must be in the shadow for 24 hours before it serves anyone\. It came there \d+ days ago, so try again from [-\d]+ [:\d]+ UTC on\. Nothing lifts this, no override either\.$/,
    );
    expect(status).toBe(1);
  });

  it.each([
    [['show', 'best'], 'There is no policy best. There are new, old.'],
    [['advance', 'best', ...by], 'There is no policy best. There are new, old.'],
    [['advance', 'new', ...by, '--override', 'x'], 'nothing to override. Try again without --override.'],
    [['advance', 'new', ...by, '--diverges', 'x'], 'Try again without --diverges.'],
    [
      ['advance', 'new', ...by, '--percent', '5'],
      'a policy that took no step yet can only be registered. Without --percent it goes on',
    ],
    [['back', 'new', ...by], 'took no step yet, so there is nothing to roll back.'],
    [['back', 'old', ...by], 'no policy that servers still have was active before'],
    [['retire', 'old', ...by], 'It retires when another policy takes its place'],
  ])('of %j ends with 1 and the reason', async (args, reason) => {
    const { status, stdout, stderr } = await run(args);
    expect(stderr).toContain(reason);
    expect({ status, stdout, lines: stderr.split('\n').length }).toEqual({ status: 1, stdout: '', lines: 1 });
    expect(steps).toHaveLength(1);
  });

  it('names the argument that breaks a rule of the contract', async () => {
    const { stderr } = await run(['advance', 'new', '--by', 'x'.repeat(129), '--why', 'x'.repeat(501)]);
    expect(stderr).toBe(
      'Nothing was done with new: --by must be at most 128 characters; --why must be at most 500 characters.',
    );
  });

  it('says so where a server cannot answer', async () => {
    fault = () => {
      throw unavailable('DATABASE_UNAVAILABLE', 'the database is unavailable');
    };
    expect((await run([])).stderr).toContain('cannot answer now: the database is unavailable.');
    fault = () => {
      throw new Error('secret');
    };
    expect((await run([])).stderr).toBe(`The server at ${url} failed: internal error, error-1 in its log.`);
  });
});

describe('its process', () => {
  it('ends with 0, 1 or 2', async () => {
    const [listed, refused, misspelt] = await Promise.all([
      start(['--url', url]),
      start(['--url', url, 'back', 'old', ...by]),
      start(['advance', 'new']),
    ]);
    expect(listed).toMatchObject({ status: 0, stdout: expect.stringContaining('old decides'), stderr: '' });
    expect(refused).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('Nothing was done') });
    expect(misspelt).toMatchObject({ status: 2, stdout: '' });
    expect(misspelt.stderr).toMatch(/^--by must say who does it\nUsage: npm run rollout/);
  });

  it('says so where no server is', async () => {
    const { status, stderr } = await start(['--url', 'http://127.0.0.1:1']);
    expect(stderr).toMatch(/^There is no server at http:\/\/127\.0\.0\.1:1 \(.*\): npm start starts one here, .*\n$/);
    expect(status).toBe(1);
  });

  it('sends the key of OO_API_KEY, and never prints it', async () => {
    expect((await start(['--url', url], 'key-1')).status).toBe(0);
    expect(keys).toEqual(['Bearer key-1']);
    fault = () => {
      throw unauthenticated('KEY_UNKNOWN', 'the key is not known');
    };
    const [unknown, missing, bad] = await Promise.all(
      ['key-1', '', 'two words'].map((key) => start(['--url', url], key)),
    );
    expect(unknown?.stderr).toBe(`The server at ${url} does not know the key in OO_API_KEY.\n`);
    expect(missing?.stderr).toContain('asks for a key: put one with the permission admin into');
    expect(bad).toMatchObject({ status: 2, stderr: expect.stringMatching(/^OO_API_KEY holds no key(?!.*two words)/) });
  });
});
