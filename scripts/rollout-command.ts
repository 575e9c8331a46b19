// What `npm run rollout` is asked to do. Pure.

import { parseArgs } from 'node:util';
import { canarySteps } from '../registry/rollout.ts';

interface Signed {
  readonly policy: string;
  readonly by: string;
  readonly why: string;
}

export type RolloutCommand =
  | { readonly kind: 'list' }
  | { readonly kind: 'show'; readonly policy: string }
  /** Without a policy: of all. */
  | { readonly kind: 'history'; readonly policy: string | undefined }
  | (Signed & {
      readonly kind: 'advance';
      /** Undefined: the next step there is. */
      readonly percent: number | undefined;
      readonly override: string | undefined;
      readonly diverges: string | undefined;
      readonly isDryRun: boolean;
    })
  | (Signed & { readonly kind: 'back' | 'retire' });

export interface RolloutArguments {
  readonly command: RolloutCommand;
  /** Without credentials, query and slash at its end. */
  readonly url: string;
}

export const rolloutUsage = `Usage: npm run rollout                      where every policy stands
       npm run rollout -- show POLICY       what the gate says of it, and its steps
       npm run rollout -- advance POLICY --by NAME --why TEXT   its next step towards people
              [--percent N]       as a canary, back to fewer people: ${canarySteps.join(', ')}
              [--diverges TEXT]   into the shadow: why it is meant to decide otherwise than the active one
              [--override TEXT]   why it goes on although the gate does not let it
              [--dry-run]         only say what would be done
       npm run rollout -- back POLICY --by NAME --why TEXT      takes it away from everybody at once
       npm run rollout -- retire POLICY --by NAME --why TEXT    ends it
       npm run rollout -- history [POLICY]  all steps, newest first
Each with [--url http://127.0.0.1:8080]. A key goes into the variable OO_API_KEY.`;

const options = {
  url: { type: 'string' },
  by: { type: 'string' },
  why: { type: 'string' },
  percent: { type: 'string' },
  override: { type: 'string' },
  diverges: { type: 'string' },
  'dry-run': { type: 'boolean' },
} as const;

type Kind = RolloutCommand['kind'];

const signed = ['by', 'why'] as const;
const optionsOf: Readonly<Record<Kind, readonly (keyof typeof options)[]>> = {
  list: [],
  show: [],
  history: [],
  advance: [...signed, 'percent', 'override', 'diverges', 'dry-run'],
  back: signed,
  retire: signed,
};

/** Throws an Error in words for whoever typed the arguments. */
export function readRolloutCommand(args: readonly string[]): RolloutArguments {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
  const [word = 'list', policy, ...more] = positionals;
  if (!isKind(word)) throw new Error(`There is no command ${word}`);
  const [stray] = word === 'list' && policy !== undefined ? [policy] : more;
  if (stray !== undefined) throw new Error(`${stray} is one word too many; a text of several goes into quotes`);
  for (const name of Object.keys(values))
    if (name !== 'url' && !optionsOf[word].some((known) => known === name))
      throw new Error(`--${name} has no meaning for ${word}`);
  return { command: toCommand(word, policy, values), url: readUrl(values.url) };
}

const isKind = (word: string): word is Kind => Object.hasOwn(optionsOf, word);

type Values = { readonly [Name in Exclude<keyof typeof options, 'dry-run'>]?: string } & {
  readonly 'dry-run'?: boolean;
};

function toCommand(kind: Kind, policy: string | undefined, values: Values): RolloutCommand {
  if (kind === 'list') return { kind };
  if (kind === 'history') return { kind, policy };
  if (policy === undefined || policy === '') throw new Error('Which policy? npm run rollout names them all');
  if (kind === 'show') return { kind, policy };
  const by = readText('by', values.by);
  const why = readText('why', values.why);
  if (by === undefined) throw new Error('--by must say who does it');
  if (why === undefined) throw new Error('--why must say why, for whoever reads the history later');
  if (kind !== 'advance') return { kind, policy, by, why };
  return {
    ...{ kind, policy, by, why, percent: readPercent(values.percent), isDryRun: values['dry-run'] ?? false },
    override: readText('override', values.override),
    diverges: readText('diverges', values.diverges),
  };
}

function readText(name: string, text: string | undefined): string | undefined {
  if (text !== undefined && text.trim() === '') throw new Error(`--${name} is empty`);
  return text?.trim();
}

function readPercent(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const found = canarySteps.find((step) => String(step) === text);
  if (found === undefined) throw new Error(`--percent must be one of ${canarySteps.join(', ')}`);
  return found;
}

/** Throws an Error in words where it is none. */
export function readUrl(text = 'http://127.0.0.1:8080'): string {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) throw new Error('--url must be like http://127.0.0.1:8080');
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}
