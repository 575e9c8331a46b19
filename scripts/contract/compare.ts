import { rejectedWhenAbsent } from './absence.ts';
import type { Contract, Element } from './contract.ts';
import type { Finding } from './finding.ts';
import { fingerprint, keepsMeaning } from './meaning.ts';
import { changedOptions, ownOptionsOf } from './options.ts';
import { rulesOf } from './rules.ts';
import { tightenings } from './tightening.ts';

export interface Comparison {
  before: Contract;
  after: Contract;
  /** Packages that somebody may build on: here a comment is part of the promise. */
  released: Set<string>;
  /** From `parseClarifications`. */
  acknowledged: Set<string>;
}

/** What breaks a promise of `before` in `after` without `buf breaking` seeing it. Paths are those of the image. */
export async function compareContracts(comparison: Comparison): Promise<Finding[]> {
  const { before, after } = comparison;
  const kept = [...before.elements.values()].flatMap((old) => {
    const now = after.elements.get(old.key);
    return now ? [{ old, now }] : [];
  });
  return [
    ...movedOut(before, after),
    ...kept.flatMap(({ old, now }) => tightenedRules(old, now)),
    ...(await tightenedByAdding(before, after)),
    ...kept.flatMap(({ old, now }) => changedMeaning(old, now, comparison)),
    ...kept.flatMap(({ old, now }) => changedOwnOptions(old, now, comparison)),
  ];
}

/** A file that is now imported from elsewhere: from there on nothing would be compared any more. */
function movedOut(before: Contract, after: Contract): Finding[] {
  return [...before.files]
    .filter((path) => !after.files.has(path) && after.registry.getFile(path))
    .map((path) => ({
      path,
      line: 1,
      rule: 'OO_FILE_MOVED_OUT',
      message: `${path} is no longer part of the contract`,
    }));
}

function tightenedRules(old: Element, now: Element): Finding[] {
  return tightenings(rulesOf(old), rulesOf(now)).map((change) =>
    finding(now, 'OO_RULE_TIGHTENED', `${now.name} may reject what it accepted: ${change}`),
  );
}

async function tightenedByAdding(before: Contract, after: Contract): Promise<Finding[]> {
  const rejected = await rejectedWhenAbsent(before, after);
  return rejected.map(({ element, because }) =>
    finding(element, 'OO_RULE_TIGHTENED', `${element.name} is new, and rejects senders that leave it out: ${because}`),
  );
}

function changedMeaning(old: Element, now: Element, { released, acknowledged }: Comparison): Finding[] {
  if (!released.has(old.package) || keepsMeaning(old.comment, now.comment)) return [];
  const acknowledgement = `${now.name} ${fingerprint(now.comment)}`;
  if (acknowledged.has(acknowledgement)) return [];
  const message =
    `the meaning of ${now.name} changed: was "${old.comment}", is "${now.comment}". A new meaning needs a new field ` +
    `or version; if this only says the same better, add to proto/clarifications.txt: ${acknowledgement} <reason>`;
  return [finding(now, 'OO_MEANING_CHANGED', message)];
}

function changedOwnOptions(old: Element, now: Element, { before, after }: Comparison): Finding[] {
  const isNew = (option: string) => before.registry.getExtension(option) === undefined;
  return changedOptions(ownOptionsOf(old, before), ownOptionsOf(now, after), isNew).map((change) =>
    finding(now, 'OO_OPTION_CHANGED', `an option of ${now.name} changed: ${change}`),
  );
}

function finding({ path, line }: Element, rule: string, message: string): Finding {
  return { path, line, rule, message };
}
