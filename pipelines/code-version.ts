import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** What a model is made by: what features are, how they are learnt from, and with which libraries. */
const folders = ['experiments', 'features', 'pipelines', 'registry'];
const others = ['package-lock.json'];

/** A digest of the code that makes models: the same wherever the same code is, whatever it is kept in. Reads some MB. */
export function codeVersion(): string {
  const digest = createHash('sha256');
  for (const file of [...folders.flatMap(filesIn), ...others]) {
    digest.update(`${file}\n`).update(
      createHash('sha256')
        .update(readFileSync(join(root, file)))
        .digest(),
    );
  }
  return digest.digest('hex');
}

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
    .sort();
}
