// A process that scores decisions until it is killed, some milliseconds each: argument 1 is the shadow's name.
import { policies } from '../../experiments/policies/index.ts';
import { createShadowStore } from '../../experiments/shadow-store.ts';
import { openDatabase } from '../../platform/database.ts';

const database = openDatabase({ url: process.env.DATABASE_URL ?? '', applicationName: 'test', maxConnections: 1 });
const policy = policies.get(process.argv[2] ?? '');
if (!policy) throw new Error('no such policy');
const store = createShadowStore(database);
for (;;) {
  const count = await store.scoreNext(policy);
  process.stdout.write(`scored ${count}\n`);
}
