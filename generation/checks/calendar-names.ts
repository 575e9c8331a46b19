const namesCache = new Map<string, ReadonlyMap<string, number>>();

/** The names of months (1 to 12) or weekdays (1, Monday, to 7), in lower case. */
export function namesOf(
  languages: string,
  options: Intl.DateTimeFormatOptions,
  type: 'month' | 'weekday',
): ReadonlyMap<string, number> {
  const key = `${languages} ${type}`;
  const known = namesCache.get(key);
  if (known) return known;
  const names = new Map<string, number>();
  for (const language of languages.split(' ')) {
    for (const style of ['long', ...(type === 'month' ? (['short'] as const) : [])] as const) {
      const format = new Intl.DateTimeFormat(language, { ...options, [type]: style, timeZone: 'UTC' });
      for (let at = 1; at <= (type === 'month' ? 12 : 7); at++) {
        // The first of January 2024 was a Monday.
        const instant = type === 'month' ? Date.UTC(2024, at - 1, 15) : Date.UTC(2024, 0, at);
        const name = format.formatToParts(instant).find((part) => part.type === type)?.value ?? '';
        names.set(name.toLowerCase().replace(/\.$/, ''), at);
      }
    }
  }
  namesCache.set(key, names);
  return names;
}

/** The names as alternatives of a pattern, the longest first. */
export function anyOf(names: ReadonlyMap<string, number>): string {
  const longestFirst = [...names.keys()].toSorted((a, b) => b.length - a.length);
  return longestFirst.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
}
