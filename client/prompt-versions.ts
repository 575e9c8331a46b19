import { fnv1a32Twice } from '../platform/fnv1a.ts';

/** The versions that a caller has in use, and how one of them is chosen. */
export type PromptRotation =
  /** Every request takes one at random, all equally likely. No version: the service's default. */
  | { readonly by: 'request'; readonly versions: readonly string[] }
  /** A person keeps a version for as long as the weights stay. */
  | { readonly by: 'person'; readonly versions: readonly WeightedVersion[] };

export interface WeightedVersion {
  readonly version: string;
  /** The version's share is its weight in the sum of all weights. */
  readonly weight: number;
}

const weightMax = 1_000_000;

/**
 * Reads `TIP_PROMPT_VERSION`: nothing (the service's default), one prompt version, several with commas between (one at
 * random for each request), or several with weights, `v1=3,v2-mentor=1` (one for each person, here v1 for three of four).
 * Weights are whole numbers from 1 on, and need not sum to anything. Throws an error that names the entry that is wrong.
 */
export function parsePromptVersions(text: string | undefined): PromptRotation {
  const entries = (text ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  if (!entries.some((entry) => entry.includes('='))) return { by: 'request', versions: entries.map(readVersion) };
  const versions = entries.map(readWeighted);
  const names = versions.map(({ version }) => version);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new Error(`TIP_PROMPT_VERSION: "${twice}" has two weights`);
  return { by: 'person', versions };
}

export interface PickFor {
  readonly userId: string;
  /** Another salt sorts people anew. */
  readonly salt: string;
  /** Uniform in [0, 1). */
  readonly random: number;
}

/** The version for one request. Empty: the service's default. */
export function pickPromptVersion({ by, versions }: PromptRotation, { userId, salt, random }: PickFor): string {
  if (by === 'request') return versions[Math.floor(random * versions.length)] ?? '';
  // The lowest wins; no version twice, so ties are as good as never.
  const waits = versions.map(({ version, weight }) => waitOf(`${salt}:${version}:${userId}`) / weight);
  return versions[waits.indexOf(Math.min(...waits))]?.version ?? '';
}

/**
 * Each version of each person waits for an exponential time that is shorter the more it weighs, and the first one is theirs:
 * every version gets its share, and where one is added, dropped or weighed anew, nobody moves between two others. Ranges
 * side by side would push people over every border behind it.
 */
function waitOf(text: string): number {
  return -Math.log((fnv1a32Twice(text) + 0.5) / 0x1_0000_0000);
}

function readVersion(version: string): string {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(version)) throw new Error(`TIP_PROMPT_VERSION: "${version}" is no prompt version`);
  return version;
}

function readWeighted(entry: string): WeightedVersion {
  const [version = '', weight, ...more] = entry.split('=').map((part) => part.trim());
  readVersion(version);
  if (weight === undefined || more.length > 0 || !/^\d{1,7}$/.test(weight) || !isWeight(Number(weight)))
    throw new Error(
      `TIP_PROMPT_VERSION: "${entry}" must be <version>=<weight>, a whole number from 1 to ${weightMax}, as others have weights`,
    );
  return { version, weight: Number(weight) };
}

function isWeight(weight: number): boolean {
  return weight >= 1 && weight <= weightMax;
}
