import { create, type DescMessage } from '@bufbuild/protobuf';
import type { Contract, Element } from './contract.ts';

export interface Rejection {
  element: Element;
  because: string;
}

/**
 * New fields and oneofs of existing messages that reject senders who do not know them yet. What such a sender leaves
 * out is tried on the real rules, not guessed from them.
 */
export async function rejectedWhenAbsent(before: Contract, after: Contract): Promise<Rejection[]> {
  const added = [...after.elements.values()].filter(
    ({ kind, key }) => (kind === 'field' || kind === 'oneof') && !before.elements.has(key),
  );
  const messages = new Map<string, Element[]>();
  for (const element of added) {
    const parent = element.name.slice(0, element.name.lastIndexOf('.'));
    if (before.elements.has(`message ${parent}`)) messages.set(parent, [...(messages.get(parent) ?? []), element]);
  }
  const rejections: Rejection[] = [];
  for (const [name, elements] of messages) {
    const problems = await problemsOfEmpty(after.registry.getMessage(name), after);
    for (const element of elements) {
      const because = problems.get(element.name) ?? problems.get('');
      if (because !== undefined) rejections.push({ element, because });
    }
  }
  return rejections;
}

/** What is wrong with an empty message, by the full name of the field or oneof; under '' if that cannot be said. */
async function problemsOfEmpty(desc: DescMessage | undefined, { registry }: Contract): Promise<Map<string, string>> {
  if (!desc) return new Map();
  // Loaded here because most changes add no field, and the gate should answer at once.
  const { createValidator } = await import('@bufbuild/protovalidate');
  const result = createValidator({ registry }).validate(desc, create(desc));
  if (result.kind === 'valid') return new Map();
  if (result.kind === 'error') return new Map([['', `its rules cannot be tried: ${result.error.message}`]]);
  return new Map(
    result.violations.flatMap(({ field: [first], message }) =>
      first && 'name' in first ? [[`${desc.typeName}.${first.name}`, message]] : [],
    ),
  );
}
