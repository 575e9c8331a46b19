import { describe, expect, it } from 'vitest';
import { manifestOf } from '../../tests/_util/models.ts';
import { versionHash } from '../model.ts';
import type { MlflowClient, MlflowRun } from './client.ts';
import { mirror } from './mirror.ts';
import type { MirrorSource } from './source.ts';
import { wantedOf } from './wanted.ts';

const manifest = manifestOf();
const version = {
  ...{ model: 'reward', version: 1, name: 'reward/1', policy: 'reward.1', actor: 'anna', registeredAtMs: 1 },
  ...{ manifest, hash: versionHash(manifest) },
};
const source: MirrorSource = {
  readWanted: async () => wantedOf([{ version, card: {}, page: undefined }], { number: 0, standings: [] }),
  readContent: async () => new TextEncoder().encode('{}'),
};
const run: MlflowRun = {
  info: { run_id: 'r', artifact_uri: 'mlflow-artifacts:/1/r', status: 'RUNNING', lifecycle_stage: 'active' },
  data: { metrics: [], params: new Map(), tags: new Map() },
  inputs: { dataset_inputs: [] },
};

/** A server without anything of ours, that keeps bytes in its own way. */
function clientOf(keep: (bytes: Uint8Array) => Uint8Array) {
  const calls: string[] = [];
  const files = new Map<string, Uint8Array>();
  const answers: Partial<MlflowClient> = {
    findExperiment: async (name) => ({ experiment_id: '1', name, lifecycle_stage: 'active' }),
    listRuns: async () => [],
    listModels: async () => [],
    listVersions: async () => [],
    createRun: async () => run,
    findModel: async () => undefined,
    findArtifact: async (path) => files.get(path),
    putArtifact: async (path, bytes) => {
      files.set(path, keep(bytes));
    },
  };
  const client = new Proxy(answers, {
    get: (_, name: keyof MlflowClient) => {
      calls.push(name);
      return answers[name] ?? (async () => undefined);
    },
  }) as MlflowClient;
  return { client, calls };
}

describe('a mirror', () => {
  it('registers no version, and ends no run, whose artifacts come back otherwise than they were sent', async () => {
    const { client, calls } = clientOf((bytes) => bytes.slice(1));
    await expect(mirror(source, client)).rejects.toThrow('gives back other bytes than it was sent for manifest.json');
    for (const call of ['endRun', 'createModel', 'createVersion']) expect(calls).not.toContain(call);
  });

  it('registers it once they are right, last of all', async () => {
    const { client, calls } = clientOf((bytes) => bytes);
    expect(await mirror(source, client)).toMatchObject({ problems: [] });
    const writes = calls.filter((call) => /^(create|put|log|end)/.test(call));
    expect(writes.slice(-3)).toEqual(['endRun', 'createModel', 'createVersion']);
  });

  it('writes nothing once it may not be the only one', async () => {
    const { client, calls } = clientOf((bytes) => bytes);
    const stillOurs = () => Promise.reject(new Error('the connection is gone'));
    await expect(mirror(source, client, { stillOurs })).rejects.toThrow('the connection is gone');
    expect(calls.filter((call) => /^(create|put|log|end)/.test(call))).toEqual([]);
  });
});
