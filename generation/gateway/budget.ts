export interface Amount {
  readonly tokens: number;
  readonly microdollars: number;
}

/** Each per UTC day. Undefined: no limit. */
export interface BudgetLimits {
  readonly tokensPerDay?: number | undefined;
  readonly microdollarsPerDay?: number | undefined;
  readonly tokensPerPersonDay?: number | undefined;
  readonly microdollarsPerPersonDay?: number | undefined;
}

/** A part of the budget, held for a call that is under way. */
export interface Reservation {
  /** Puts what was truly spent in the place of what was held. Only the first time counts. */
  settle(spent: Amount): void;
}

export interface Budget {
  /** Undefined: what is left of the day does not cover that amount. */
  reserve(person: string | undefined, amount: Amount): Reservation | undefined;
}

export interface BudgetSources {
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** How many people's spending is remembered. */
  readonly personsMax?: number;
}

/**
 * Holds an estimate for each call before it is made, so that many at once cannot spend the same rest, and counts what
 * they told afterwards. The limits hold as far as estimates and providers' counts do.
 *
 * All of it is in the memory of one process: each replica has a budget of its own, so that several of them spend
 * several budgets, and a restart begins a new one. Divide the limits by the number of replicas, and let the provider's
 * own limit be the last word. Beyond `personsMax` people in a day, who spent longest ago is forgotten.
 */
export function createBudget(
  { tokensPerDay, microdollarsPerDay, tokensPerPersonDay, microdollarsPerPersonDay }: BudgetLimits,
  { clock, personsMax = 100_000 }: BudgetSources,
): Budget {
  const ofAll = { tokens: tokensPerDay, microdollars: microdollarsPerDay };
  const ofPerson = { tokens: tokensPerPersonDay, microdollars: microdollarsPerPersonDay };
  const hasPersonLimit = tokensPerPersonDay !== undefined || microdollarsPerPersonDay !== undefined;
  let day = Number.NaN;
  let all: Amount = nothing;
  let persons = new Map<string, Amount>(); // who spent last comes last

  const beginDay = () => {
    const today = Math.floor(clock() / 86_400_000);
    if (today === day) return;
    [day, all, persons] = [today, nothing, new Map()];
  };
  const count = (person: string | undefined, amount: Amount) => {
    all = plus(all, amount);
    if (person === undefined || !hasPersonLimit) return;
    const spent = plus(persons.get(person) ?? nothing, amount);
    persons.delete(person);
    persons.set(person, spent);
    const [oldest] = persons.keys();
    if (persons.size > personsMax && oldest !== undefined) persons.delete(oldest);
  };

  return {
    reserve: (person, amount) => {
      beginDay();
      if (!fits(plus(all, amount), ofAll)) return undefined;
      const spent = person === undefined ? nothing : (persons.get(person) ?? nothing);
      if (person !== undefined && !fits(plus(spent, amount), ofPerson)) return undefined;
      count(person, amount);
      const reservedOn = day;
      let isSettled = false;
      return {
        settle: (truly) => {
          beginDay();
          if (isSettled || day !== reservedOn) return; // another day's budget is not touched
          isSettled = true;
          count(person, minus(truly, amount));
        },
      };
    },
  };
}

export const nothing: Amount = { tokens: 0, microdollars: 0 };

function plus(a: Amount, b: Amount): Amount {
  return { tokens: Math.max(0, a.tokens + b.tokens), microdollars: Math.max(0, a.microdollars + b.microdollars) };
}

function minus(a: Amount, b: Amount): Amount {
  return { tokens: a.tokens - b.tokens, microdollars: a.microdollars - b.microdollars };
}

function fits(amount: Amount, limit: { readonly [Key in keyof Amount]: number | undefined }): boolean {
  return (
    amount.tokens <= (limit.tokens ?? Number.POSITIVE_INFINITY) &&
    amount.microdollars <= (limit.microdollars ?? Number.POSITIVE_INFINITY)
  );
}
