/**
 * Reads `TIP_PROMPT_VERSION`: nothing (the service's default), one prompt version, or several with commas between, of
 * which every request takes one at random, all equally likely. Throws on an entry that cannot be a version.
 */
export function parsePromptVersions(text: string | undefined): readonly string[] {
  const versions = (text ?? '')
    .split(',')
    .map((version) => version.trim())
    .filter((version) => version !== '');
  const bad = versions.find((version) => !/^[A-Za-z0-9._-]{1,64}$/.test(version));
  if (bad !== undefined) throw new Error(`TIP_PROMPT_VERSION: "${bad}" is no prompt version`);
  return versions;
}

/** The version for one request. Empty: the service's default. `random` is in [0, 1). */
export function pickPromptVersion(versions: readonly string[], random: number): string {
  return versions[Math.floor(random * versions.length)] ?? '';
}
