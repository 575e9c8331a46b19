import { createHash } from 'node:crypto';
import { type Database, inTransaction } from '../platform/database.ts';
import { type Manifest, type ModelVersion, versionHash } from './model.ts';

export interface Registration {
  /** Checked before, by `parseManifest` and against its contents. */
  readonly manifest: Manifest;
  /** Bytes by their digest: the artifact, and the golden batch if there is one. */
  readonly contents: ReadonlyMap<string, Uint8Array>;
  readonly card: object;
  readonly actor: string;
  readonly atMs: number;
}

/** Errors are those of the database. */
export interface ModelStore {
  /** The version that it became, or the one that it already is. All or nothing. */
  register(registration: Registration): Promise<ModelVersion>;
  /** Every version, in the order in which they came. Undefined: none came after so many. */
  readVersions(knownCount: number): Promise<readonly ModelVersion[] | undefined>;
  /** Undefined: there is no such version. */
  readCard(model: string, version: number): Promise<unknown>;
  /** Throws a CorruptContent where the bytes are not those of the digest, or not there. */
  readContent(sha256: string): Promise<Uint8Array>;
}

/** Bytes that are not what they were: never used. */
export class CorruptContent extends Error {
  override readonly name = 'CorruptContent';
}

export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export function createModelStore(database: Database): ModelStore {
  return {
    register: ({ manifest, contents, card, actor, atMs }) =>
      inTransaction(database, async (client) => {
        // One after the other, so that numbers have no gaps. It is rare, and nobody who serves waits for it.
        await client.query('LOCK TABLE model_versions IN SHARE ROW EXCLUSIVE MODE');
        const hash = versionHash(manifest);
        const { rows: known } = await client.query<ModelVersion>(`${select} WHERE hash = $1`, [hash]);
        if (known[0]) return known[0];
        await client.query('INSERT INTO models (name) VALUES ($1) ON CONFLICT DO NOTHING', [manifest.model]);
        for (const [sha256, bytes] of contents) {
          await client.query('INSERT INTO model_contents (sha256, bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
            sha256,
            Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
          ]);
        }
        const { artifact, goldenBatch } = manifest;
        const said = [manifest.model, hash, JSON.stringify(manifest), artifact.sha256, goldenBatch?.sha256 ?? null];
        const { rows } = await client.query<ModelVersion>(insert, [...said, JSON.stringify(card), actor, atMs]);
        if (!rows[0]) throw new Error('nothing was registered');
        return rows[0];
      }),

    async readVersions(knownCount) {
      const text = `${select} WHERE (SELECT max(number) FROM model_versions) > $1::int8 ORDER BY model_versions.number`;
      const { rows } = await database.query<ModelVersion>({ name: 'model-versions', text, values: [knownCount] });
      return rows.length === 0 ? undefined : rows;
    },

    async readCard(model, version) {
      const { rows } = await database.query<{ card: unknown }>(
        'SELECT card FROM model_versions WHERE (model, version) = ($1, $2)',
        [model, version],
      );
      return rows[0]?.card;
    },

    async readContent(sha256) {
      const { rows } = await database.query<{ bytes: Buffer }>('SELECT bytes FROM model_contents WHERE sha256 = $1', [
        sha256,
      ]);
      const bytes = rows[0]?.bytes;
      if (!bytes) throw new CorruptContent(`there is nothing under ${sha256}`);
      const actual = sha256Of(bytes);
      if (actual !== sha256) throw new CorruptContent(`what is under ${sha256} is ${actual}`);
      return bytes;
    },
  };
}

const columns = `model, version, model || '/' || version AS name, model || '.' || version AS policy, hash, manifest, actor, (extract(epoch FROM registered_at) * 1000)::float8 AS "registeredAtMs"`;
const select = `SELECT ${columns} FROM model_versions`;

const insert = `
  INSERT INTO model_versions (number, model, version, hash, manifest, artifact, golden_batch, card, actor, registered_at)
  SELECT coalesce((SELECT max(number) FROM model_versions), 0) + 1, $1,
    coalesce((SELECT max(version) FROM model_versions WHERE model = $1), 0) + 1, $2, $3, $4, $5, $6, $7,
    to_timestamp($8 / 1000.0)
  RETURNING ${columns}`;
