/**
 * `npm run decision -- <decision_id> [--json]`: explains one decision to a person, or as one JSON document, and decides
 * again from the events that it had seen. Ends with 0 if that gives the same, bit for bit, 1 if not or on a failure, 2 if
 * there is no such decision to explain.
 */
import { parseArgs } from 'node:util';
import { type Found, findDecision } from '../pipelines/decision-records.ts';
import { explainDecision } from '../pipelines/explain-decision.ts';
import { openDatabase } from '../platform/database.ts';
import { readArguments } from './arguments.ts';
import { fail } from './explain.ts';
import { withDatabaseUrl } from './local-database.ts';
import { printDecision } from './print-decision.ts';

const usage = 'Usage: npm run decision -- <decision_id> [--json]';
const exitCodes = { equal: 0, differs: 1, nothingToExplain: 2 } as const;

const { id, isJson } = readArguments(usage, () => {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } });
  const [given, ...more] = positionals;
  if (given === undefined)
    throw new Error('Which decision? Score answers its id as decision_id; tip_scores has them all.');
  if (more.length > 0) throw new Error('One decision at a time, please.');
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(given))
    throw new Error('That is no decision id. One looks like 0190a5d2-7b1c-8cc0-8a5e-2f1f6a5b3c1d.');
  return { id: given.toLowerCase(), isJson: values.json ?? false };
});

await withDatabaseUrl(async (url) => {
  const database = openDatabase({ url, applicationName: 'oo-decision', maxConnections: 2 });
  try {
    process.exitCode = await explain(await findDecision(database, id));
  } finally {
    await database.end();
  }
}).catch(fail);

async function explain(found: Found): Promise<number> {
  if (found.kind !== 'decision') {
    process.stderr.write(`${whyNot(found)}\n`);
    return exitCodes.nothingToExplain;
  }
  const explanation = explainDecision(found.records);
  if (isJson) process.stdout.write(`${JSON.stringify(explanation, undefined, 2)}\n`);
  else printDecision(explanation, Date.now());
  if (explanation.kind === 'remains') return exitCodes.nothingToExplain;
  return explanation.replay.is_equal ? exitCodes.equal : exitCodes.differs;
}

function whyNot(found: Exclude<Found, { kind: 'decision' }>): string {
  switch (found.kind) {
    case 'request':
      return `That is the id of a request. Its decision is ${found.decisionId}:\n   npm run decision -- ${found.decisionId}`;
    case 'other_event':
      return `That is the id of another event, ${found.type}, not of a decision.`;
    case 'forgotten':
      return found.wereMonthsDropped
        ? 'An event of that id was stored once, and nothing is kept of it: its person was erased, or it was no decision and its month was dropped.'
        : 'An event of that id was stored once. Its person was erased, so nothing is kept of it, and nothing can be told.';
    case 'unknown':
      return 'There is no such decision here. A new one is stored a moment after its answer, while the consumers run; is DATABASE_URL the right one?';
  }
}
