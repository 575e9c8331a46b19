import { type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf';
import type { Contract, Element } from './contract.ts';

/** Values of the project's own custom options, by the option's full name. */
export type OwnOptions = Map<string, JsonValue>;

/** The custom options set on an element that its contract itself defines, read through the contract's registry. */
export function ownOptionsOf({ options }: Element, { files, registry }: Contract): OwnOptions {
  const desc = options && registry.getMessage(options.$typeName);
  if (!desc) return new Map();
  // Extensions appear as "[full.name]".
  const entries = Object.entries(toJson(desc, options, { registry }) as JsonObject).flatMap(
    ([key, value]): [string, JsonValue][] => {
      const extension = key.startsWith('[') ? registry.getExtension(key.slice(1, -1)) : undefined;
      return extension && files.has(`${extension.file.name}.proto`) ? [[extension.typeName, value]] : [];
    },
  );
  return new Map(entries);
}

/**
 * What changed, in words, in the options of an element. An option that the older contract did not define may be added;
 * a message may be given a subject, and a subject may be accepted under more names.
 */
export function changedOptions(before: OwnOptions, after: OwnOptions, isNew: (option: string) => boolean): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((option) => {
    const old = before.get(option);
    const now = after.get(option);
    if (JSON.stringify(old) === JSON.stringify(now) || isNew(option) || isGrownSubject(option, old, now)) return [];
    return [`(${option}) ${old ? JSON.stringify(old) : '(none)'} → ${now ? JSON.stringify(now) : '(none)'}`];
  });
}

function isGrownSubject(option: string, before: JsonValue | undefined, after: JsonValue | undefined): boolean {
  if (option !== 'oo.options.v1.subject' || after === undefined) return false;
  if (before === undefined) return true;
  const old = before as { subject?: string; alsoAccepted?: string[] };
  const now = after as { subject?: string; alsoAccepted?: string[] };
  const accepted = now.alsoAccepted ?? [];
  return old.subject === now.subject && (old.alsoAccepted ?? []).every((alias) => accepted.includes(alias));
}
