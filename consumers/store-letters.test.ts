import { expect, it } from 'vitest';
import { BusError, type Delivery } from '../platform/bus.ts';
import { createLog } from '../platform/log.ts';
import { storeLetters } from './store-letters.ts';

const letter = { 'Oo-Reason': 'undecodable', 'Oo-Subject': 'signals.a', 'Oo-Stream-Sequence': '1' };
const sql = (code: string) => Object.assign(new Error(code), { code, severity: 'ERROR' });

/** Stores letters of a stream, by their places, and tells all that was done, in its order. */
async function stored(
  places: readonly number[],
  { erased = [] as number[], refused = [] as number[], removals = [] as BusError[], headers = letter as object } = {},
) {
  const steps: string[] = [];
  const deps: Parameters<typeof storeLetters>[0] = {
    bus: {
      remove: async (stream, sequence) => {
        const error = removals.shift();
        if (error) throw error;
        steps.push(`removed ${stream}/${sequence}`);
      },
    },
    deadLetterStore: {
      store: async (letters) => {
        if (letters.some(({ sequence }) => refused.includes(sequence ?? 0))) throw sql('23514');
        steps.push(`stored ${letters.map(({ sequence }) => sequence)}`);
        return erased;
      },
    },
    log: Object.assign(createLog({ name: 'test', level: 'silent', pretty: false }), {
      error: ({ sequence }: { sequence: number }, text: string) => steps.push(`${sequence}: ${text}`),
    }),
    signal: new AbortController().signal,
    random: () => 0,
  };
  const batch = places.map(
    (sequence): Delivery => ({
      subject: 'deadletters.signals',
      data: new Uint8Array(),
      headers: { ...headers },
      sequence,
      takenAtMs: 1_000,
      deliveries: 1,
      ack: () => steps.push(`${sequence} is done`),
      working() {},
      terminate() {},
    }),
  );
  await storeLetters(deps, batch);
  return steps;
}

const alone = 'a dead letter is in its stream alone';

it.each<[string, Parameters<typeof stored>, string[]]>([
  ['once it is stored', [[1, 2]], ['stored 1,2', '1 is done', '2 is done']],
  [
    'once the table has refused it, and it alone',
    [[1, 2, 3], { refused: [2] }],
    ['stored 1', '1 is done', 'stored 3', '3 is done', `2: ${alone}`, '2 is done'],
  ],
  ['once it is told that nobody put it aside', [[1], { headers: {} }], [`1: ${alone}`, '1 is done']],
  [
    'of a person who was erased once it is off its stream, which waits for the bus',
    [[1, 2], { erased: [2], removals: [new BusError('unavailable', 'away')] }],
    ['stored 1,2', 'removed deadletters/2', '1 is done', '2 is done'],
  ],
])('a letter is done with %s', async (_, [places, world], steps) => {
  expect(await stored(places, world)).toEqual(steps);
});
