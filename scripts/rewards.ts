/**
 * `npm run rewards -- [--by prompt_version] [--days 30]`: what people did with the tips of the last days, by what wrote or
 * chose them.
 */
import { parseArgs } from 'node:util';
import { type RewardDimension, rewardDimensions } from '../experiments/reward-analytics.ts';
import { readRewards } from '../experiments/reward-analytics-store.ts';
import { utcDay } from '../platform/clock.ts';
import { openDatabase } from '../platform/database.ts';
import { readArguments } from './arguments.ts';
import { fail } from './explain.ts';
import { withDatabaseUrl } from './local-database.ts';
import { printRewards } from './print-rewards.ts';

const usage = `Usage: npm run rewards -- [--by <dimension>] [--days <days>]
  --by     ${rewardDimensions.join(', ')}; default: prompt_version
  --days   UTC days, today included, 1 to 366; default: 30`;

const { dimension, days } = readArguments(usage, () => {
  const { values } = parseArgs({
    options: { by: { type: 'string', default: 'prompt_version' }, days: { type: 'string', default: '30' } },
  });
  return { dimension: readDimension(values.by), days: readDays(values.days) };
});

function readDimension(text: string): RewardDimension {
  const found = rewardDimensions.find((each) => each === text);
  if (!found) throw new Error(`--by must be one of ${rewardDimensions.join(', ')}`);
  return found;
}

function readDays(text: string): number {
  if (!/^\d{1,3}$/.test(text) || Number(text) < 1 || Number(text) > 366)
    throw new Error('--days must be a whole number from 1 to 366');
  return Number(text);
}

await withDatabaseUrl(async (url) => {
  const database = openDatabase({ url, applicationName: 'oo-rewards', maxConnections: 1 });
  try {
    const toDay = utcDay(Date.now());
    const rows = await readRewards(database, { dimension, fromDay: toDay - days + 1, toDay });
    printRewards(rows, { dimension, days });
  } finally {
    await database.end();
  }
}).catch(fail);
