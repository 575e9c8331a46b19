import { Ignore } from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';
import type { RuleGroup, Rules, RuleValue } from './rules.ts';

/**
 * What the rules reject now and may have accepted before, in words. Empty only if every value that passed before
 * provably passes now: what cannot be proved (another pattern, another expression) counts as tighter.
 */
export function tightenings(before: Rules, after: Rules): string[] {
  const places = new Set([...before.keys(), ...after.keys()]);
  return [...places].flatMap((where) => {
    const found = tighteningsIn(before.get(where) ?? new Map(), after.get(where) ?? new Map());
    return [...found, ...unignored(where, before, after)].map((text) => where + text);
  });
}

/** Which interval a rule bounds, and from which side. */
const BOUNDS: Record<string, { of: string; side: 'low' | 'high' | 'both'; open?: boolean }> = {
  len: { of: 'length', side: 'both' },
  min_len: { of: 'length', side: 'low' },
  max_len: { of: 'length', side: 'high' },
  len_bytes: { of: 'bytes', side: 'both' },
  min_bytes: { of: 'bytes', side: 'low' },
  max_bytes: { of: 'bytes', side: 'high' },
  min_items: { of: 'items', side: 'low' },
  max_items: { of: 'items', side: 'high' },
  min_pairs: { of: 'pairs', side: 'low' },
  max_pairs: { of: 'pairs', side: 'high' },
  gt: { of: 'value', side: 'low', open: true },
  gte: { of: 'value', side: 'low' },
  lt: { of: 'value', side: 'high', open: true },
  lte: { of: 'value', side: 'high' },
  within: { of: 'distance from now', side: 'high' },
};
const INTERVALS = [...new Set(Object.values(BOUNDS).map(({ of }) => of))];

/** Rules compared by more than equality. */
const SPECIAL = new Set([...Object.keys(BOUNDS), 'const', 'in', 'not_in', 'ignore', 'strict']);

function tighteningsIn(before: RuleGroup, after: RuleGroup): string[] {
  const found: string[] = [];
  const report = (name: string) => found.push(`${name} ${show(before.get(name))} → ${show(after.get(name))}`);

  if (!isSubset(allowed(before), allowed(after))) report(after.has('const') ? 'const' : 'in');
  if (!isSubset(list(after.get('not_in')) ?? [], list(before.get('not_in')) ?? [])) report('not_in');
  for (const of of INTERVALS) {
    if (narrows(before, after, of)) found.push(`${showBounds(before, of)} → ${showBounds(after, of)}`);
  }
  // Absent, `strict` means true.
  if (before.get('strict') === false && after.has('well_known_regex') && after.get('strict') !== false)
    report('strict');

  for (const [name, value] of after) {
    const old = before.get(name);
    // A flag that is false asks for nothing.
    if (SPECIAL.has(name) || value === false || show(value) === show(old)) continue;
    if (old === 'exactly one' && value === 'at most one') continue;
    report(name);
  }
  return found;
}

/** The values that `const` and `in` leave; undefined: all. */
function allowed(rules: RuleGroup): RuleValue[] | undefined {
  return list(rules.get('const') ?? rules.get('in'));
}

function list(value: RuleValue | RuleValue[] | undefined): RuleValue[] | undefined {
  return value === undefined || Array.isArray(value) ? value : [value];
}

/** Undefined stands for all values. */
function isSubset(inner: RuleValue[] | undefined, outer: RuleValue[] | undefined): boolean {
  if (outer === undefined) return true;
  return inner?.every((value) => outer.includes(value)) ?? false;
}

interface Bound {
  value: RuleValue;
  /** The bound itself is out. */
  open: boolean;
}

/** True if a value inside the interval before may be outside it now. */
function narrows(before: RuleGroup, after: RuleGroup, of: string): boolean {
  const old = interval(before, of);
  const now = interval(after, of);
  if (!now.low && !now.high) return false;
  // A lower bound above the upper one means "outside of both". Not worth its own arithmetic: any change counts.
  if (isInverted(old) || isInverted(now)) return showBounds(before, of) !== showBounds(after, of);
  return isTighter(old.low, now.low, (a, b) => b > a) || isTighter(old.high, now.high, (a, b) => b < a);
}

function interval(rules: RuleGroup, of: string): { low?: Bound; high?: Bound } {
  const bounds: { low?: Bound; high?: Bound } = {};
  for (const [name, value] of rules) {
    const rule = BOUNDS[name];
    if (rule?.of !== of || Array.isArray(value)) continue;
    const bound = { value, open: rule.open ?? false };
    if (rule.side !== 'high') bounds.low = bound;
    if (rule.side !== 'low') bounds.high = bound;
  }
  return bounds;
}

function isInverted({ low, high }: { low?: Bound; high?: Bound }): boolean {
  return low !== undefined && high !== undefined && low.value > high.value;
}

type Order = (before: RuleValue, after: RuleValue) => boolean;

function isTighter(before: Bound | undefined, after: Bound | undefined, isInside: Order): boolean {
  if (!after) return false;
  if (!before) return true;
  return isInside(before.value, after.value) || (before.value === after.value && after.open && !before.open);
}

/** `ignore` used to let values through that the rules beside and below it now meet. */
function unignored(where: string, before: Rules, after: Rules): string[] {
  const old = ignoreAt(where, before);
  const now = ignoreAt(where, after);
  if (now >= old) return [];
  const others = [...after].some(
    ([at, rules]) => at.startsWith(where) && [...rules.keys()].some((name) => at !== where || name !== 'ignore'),
  );
  // IGNORE_ALWAYS also switches off the rules inside a message, which are written elsewhere.
  return others || old === Ignore.ALWAYS ? [`ignore ${Ignore[old]} → ${Ignore[now]}`] : [];
}

function ignoreAt(where: string, rules: Rules): Ignore {
  return Number(rules.get(where)?.get('ignore') ?? Ignore.UNSPECIFIED);
}

function show(value: RuleValue | RuleValue[] | undefined): string {
  if (value === undefined) return '(none)';
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

function showBounds(rules: RuleGroup, of: string): string {
  const bounds = [...rules].filter(([name]) => BOUNDS[name]?.of === of);
  return bounds.length === 0 ? '(no bound)' : bounds.map(([name, value]) => `${name} ${show(value)}`).join(' and ');
}
