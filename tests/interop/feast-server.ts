import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { freePort } from '../../platform/embedded/free-port.ts';
import { run } from '../../platform/embedded/process.ts';
import { newFolder } from '../_util/servers.ts';
import { type PythonServer, startPythonServer } from './python-server.ts';

const repo = fileURLToPath(new URL('./feast-repo', import.meta.url));

/** A row of a view: its entity, when it was so, and its features. */
export interface FeastRow {
  readonly user_id: string;
  readonly event_timestamp: Date;
  readonly [feature: string]: string | number | null | Date;
}

export interface FeastServer extends PythonServer {
  readonly url: string;
  /** Writes rows, which must have the same features, to the online store. */
  write(view: string, rows: readonly FeastRow[]): Promise<void>;
}

/** A real `feast serve` on a copy of `feast-repo`; it takes some 15 s. */
export async function startFeast(): Promise<FeastServer> {
  const folder = newFolder('feast');
  cpSync(repo, folder, { recursive: true });
  const program = join(inject('feast'), 'feast');
  await run(program, ['-c', folder, 'apply'], { cwd: folder, timeoutMs: 120_000 });

  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ['-c', folder, 'serve', '--port', String(port), '--no-access-log'];
  const server = await startPythonServer({ program, args, folder, healthUrl: `${url}/health` });
  return { url, write: (view, rows) => write(url, view, rows), ...server };
}

async function write(url: string, view: string, rows: readonly FeastRow[]): Promise<void> {
  const columns = Object.keys(rows[0] ?? {}).map((name) => [name, rows.map((row) => row[name])]);
  const response = await fetch(`${url}/write-to-online-store`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ feature_view_name: view, df: Object.fromEntries(columns) }),
  });
  if (!response.ok) throw new Error(`feast took no rows: ${response.status} ${await response.text()}`);
}
