// What `npm run card` is asked to do. Pure.

import { parseArgs } from 'node:util';
import type { Said } from '../pipelines/make-card.ts';

export interface CardCommand extends Omit<Said, 'evaluation'> {
  readonly policy: string;
  readonly by: string;
  readonly evaluationFile: string | undefined;
  readonly isDryRun: boolean;
}

export const cardUsage = `Usage: npm run card -- make POLICY --by NAME [--owner TEAM]
       [--purpose TEXT] [--weakness TEXT]…   what only people know; else what the card before says
       [--evaluation FILE]                   of people whom a model has not seen, as training wrote it
       [--dry-run]                           only say what would be missing`;

const options = {
  by: { type: 'string' },
  owner: { type: 'string' },
  purpose: { type: 'string' },
  weakness: { type: 'string', multiple: true },
  evaluation: { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const;

/** Throws an Error in words for whoever typed the arguments. */
export function readCardCommand(args: readonly string[]): CardCommand {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
  const [word, policy = '', stray] = positionals;
  if (word !== 'make') throw new Error(word === undefined ? 'What is to be done?' : `There is no command ${word}`);
  if (policy === '') throw new Error('Which policy? npm run rollout names them all');
  if (stray !== undefined) throw new Error(`${stray} is one word too many; a text of several goes into quotes`);
  const { by, owner, purpose, weakness, evaluation } = values;
  for (const [name, text] of Object.entries({ by, owner, purpose, evaluation }))
    if (text !== undefined && text.trim() === '') throw new Error(`--${name} is empty`);
  if (weakness?.some((text) => text.trim() === '')) throw new Error('--weakness is empty');
  if (by === undefined) throw new Error('--by must say who makes it');
  return {
    ...{ policy, by: by.trim(), owner: owner?.trim(), purpose: purpose?.trim() },
    weaknesses: weakness?.map((text) => text.trim()),
    ...{ evaluationFile: evaluation, isDryRun: values['dry-run'] ?? false },
  };
}
