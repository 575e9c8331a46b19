import { encodeData, type TipContext } from '../../features/context.ts';

/**
 * Raise it with any change of what a view holds, and give the changed prompts new versions: it is part of their hashes,
 * as the same text over another view is another prompt. The view is which things are in it and how they are written; what a
 * person's titles say, and so also what is taken out of them before (`redact`), is what it is a view of.
 */
export const promptViewVersion = 1;

/** The variables that a prompt may use. */
export const promptTags = ['n', 'weekday', 'hour', 'partOfDay', 'fence', 'data'] as const;

/**
 * - `n`: how many tips to write.
 * - `weekday`, `hour` (0 to 23), `partOfDay`: the person's own time.
 * - `data`: everything else that is known, one line of JSON between the lines `<{{fence}}>` and `</{{fence}}>`. All text
 *   from outside is in here and nowhere else.
 */
export type PromptView = Readonly<Record<(typeof promptTags)[number], string>>;

const weekdays = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];

/**
 * The view of a context. The nonce, 16 to 64 letters and digits drawn anew for each request, makes the fence one that
 * no text can know in advance; and none could write it, since the data holds no angle bracket and no line break.
 */
export function promptView(context: TipContext, n: number, nonce: string): PromptView {
  if (!/^[A-Za-z0-9]{16,64}$/.test(nonce)) throw new TypeError('A nonce is 16 to 64 letters and digits.');
  const fence = `data-${nonce}`;
  return {
    n: String(n),
    weekday: weekdays[context.dayOfWeek - 1] ?? '',
    hour: String(context.hourOfDay),
    partOfDay: partOfDay(context.hourOfDay),
    fence,
    data: `<${fence}>\n${encodeData(toData(context))}\n</${fence}>`,
  };
}

export function partOfDay(hour: number): 'morning' | 'afternoon' | 'evening' | 'night' {
  if (hour < 5 || hour >= 23) return 'night';
  return hour < 12 ? 'morning' : hour < 18 ? 'afternoon' : 'evening';
}

function toData(context: TipContext) {
  return {
    language: context.locale,
    tasks: context.tasks,
    calendar: context.events,
    health: context.health,
    person: context.profile.map(({ words }) => words),
    recent_tips: context.recentTips,
    left_out: context.omitted,
  };
}
