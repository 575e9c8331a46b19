/**
 * `npm run card -- make POLICY …`: makes a model card of a policy from what the log says of it (docs/model-cards.md), and
 * keeps it where nothing is missing. Ends with 0 then, with 1 where something is, and with 2 where it was called wrongly.
 */
import { readFile } from 'node:fs/promises';
import { openDatabase } from '../platform/database.ts';
import { StartupError } from '../platform/run-main.ts';
import { cardHash } from '../registry/card.ts';
import { createCardStore } from '../registry/card-store.ts';
import { readArguments } from './arguments.ts';
import { cardUsage, readCardCommand } from './card-command.ts';
import { bold, say } from './demo/print.ts';
import { fail } from './explain.ts';
import { gatherCard } from './gather-card.ts';
import { withDatabaseUrl } from './local-database.ts';
import { clean } from './print-rollouts.ts';

const { policy, by, evaluationFile, isDryRun, ...said } = readArguments(cardUsage, () =>
  readCardCommand(process.argv.slice(2)),
);

await withDatabaseUrl(async (url) => {
  const database = openDatabase({ url, applicationName: 'oo-card', maxConnections: 2 });
  try {
    const evaluation = evaluationFile === undefined ? undefined : await readJson(evaluationFile);
    const atMs = Date.now();
    const { subject, card, problems } = await gatherCard(database, policy, { ...said, evaluation }, atMs);
    for (const { field, description } of problems) say(`   ${clean(`${field} ${description}`)}`);
    if (problems.length > 0) {
      say(bold(`   The card of ${clean(policy)} is not complete, so it is not kept.`));
      process.exitCode = 1;
      return;
    }
    if (!isDryRun) await createCardStore(database).put({ subject, card, actor: by, atMs });
    say(bold(`   The card of ${clean(policy)} is complete${isDryRun ? ', and was not kept' : ''}: ${cardHash(card)}`));
    if (!isDryRun) say(`   npm run model -- card ${clean(policy)} prints it.`);
  } finally {
    await database.end();
  }
}).catch(fail);

/** What is in it is looked at with the rest of the card. */
async function readJson(file: string) {
  const text = await readFile(file, 'utf8');
  try {
    return JSON.parse(text);
  } catch {
    throw new StartupError(`${file} holds no JSON`);
  }
}
