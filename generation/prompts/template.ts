import Mustache from 'mustache';

export interface TemplateParts {
  readonly tags: readonly string[];
  readonly problems: readonly string[];
}

/** The variables of a template, and what in it is not a plain variable. Texts hold variables only; logic stays in code. */
export function inspectTemplate(text: string): TemplateParts {
  let tokens: readonly (readonly [type: string, value: string, ...unknown[]])[];
  try {
    tokens = Mustache.parse(text);
  } catch (error) {
    return { tags: [], problems: [error instanceof Error ? error.message : String(error)] };
  }
  const isVariable = (type: string) => type === 'name' || type === '&';
  return {
    tags: tokens.flatMap(([type, value]) => (isVariable(type) ? [value] : [])),
    problems: tokens.flatMap(([type, value]) =>
      isVariable(type) || type === 'text' ? [] : [`{{${type}${value}}} is not a plain variable`],
    ),
  };
}

/** Fills in the variables as they are: no HTML escaping, and tags inside values stay text. */
export function render(text: string, view: Readonly<Record<string, string>>): string {
  return Mustache.render(text, view, {}, { escape: (value: string) => value });
}
