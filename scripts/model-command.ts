// What `npm run model` is asked to do. Pure.

import { parseArgs } from 'node:util';
import { readUrl } from './rollout-command.ts';

export const cardFormats = ['markdown', 'json', 'cyclonedx', 'hugging-face'] as const;
export type CardFormat = (typeof cardFormats)[number];

/** A model by its name; a policy by its. */
interface Named {
  readonly model: string;
  /** Undefined: the newest, or the one that the server has. */
  readonly version: string | undefined;
}

export type ModelCommand =
  | { readonly kind: 'list' }
  | (Named & { readonly kind: 'show' })
  | (Named & { readonly kind: 'card'; readonly format: CardFormat; readonly out: string | undefined });

export interface ModelArguments {
  readonly command: ModelCommand;
  readonly url: string;
}

export const modelUsage = `Usage: npm run model                        every model, and what its card lacks
       npm run model -- show MODEL[/VERSION]
       npm run model -- card MODEL[/VERSION] [--format ${cardFormats.join('|')}] [--out FILE]
Each with [--url http://127.0.0.1:8080]. A key goes into the variable OO_API_KEY.`;

const options = { url: { type: 'string' }, format: { type: 'string' }, out: { type: 'string' } } as const;

/** Throws an Error in words for whoever typed the arguments. */
export function readModelCommand(args: readonly string[]): ModelArguments {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
  const [kind = 'list', name, ...more] = positionals;
  if (kind !== 'list' && kind !== 'show' && kind !== 'card') throw new Error(`There is no command ${kind}`);
  const [stray] = kind === 'list' && name !== undefined ? [name] : more;
  if (stray !== undefined) throw new Error(`${stray} is one word too many`);
  for (const option of ['format', 'out'] as const)
    if (values[option] !== undefined && kind !== 'card') throw new Error(`--${option} has no meaning for ${kind}`);
  return { command: toCommand(kind, name, values), url: readUrl(values.url) };
}

function toCommand(
  kind: ModelCommand['kind'],
  name: string | undefined,
  { format = 'markdown', out }: { readonly format?: string; readonly out?: string },
): ModelCommand {
  if (kind === 'list') return { kind };
  const [model = '', version, ...more] = (name ?? '').split('/');
  if (model === '') throw new Error('Which model? npm run model names them all');
  if (version === '' || more.length > 0) throw new Error(`${name} must be like reward/3`);
  if (kind === 'show') return { kind, model, version };
  const found = cardFormats.find((each) => each === format);
  if (!found) throw new Error(`--format must be one of ${cardFormats.join(', ')}`);
  if (out?.trim() === '') throw new Error('--out is empty');
  return { kind, model, version, format: found, out };
}
