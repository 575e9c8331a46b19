/** A number that changes what a policy does. */
export interface Hyperparameter {
  readonly standard: number;
  readonly min: number;
  readonly max: number;
  readonly isWhole?: boolean;
}

export type Hyperparameters = Readonly<Record<string, Hyperparameter>>;
export type Values<Known extends Hyperparameters> = { readonly [Name in keyof Known]: number };

/** What a policy version can hold in the contract. */
const versionMax = 64;

/** The values given, and the standard of those that are not. Throws a RangeError on an unknown name or a value out of bounds. */
export function settle<Known extends Hyperparameters>(known: Known, given: Partial<Values<Known>>): Values<Known> {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(known, name)) throw new RangeError(`there is no hyperparameter ${name}`);
  }
  const settled = Object.entries(known).map(([name, { standard, min, max, isWhole = false }]) => {
    const value = given[name] ?? standard;
    const isPossible = value >= min && value <= max && (!isWhole || Number.isInteger(value));
    if (!isPossible)
      throw new RangeError(`${name} is ${value}; it must be ${isWhole ? 'whole, ' : ''}${min} to ${max}`);
    return [name, value];
  });
  return Object.fromEntries(settled) as Values<Known>;
}

/** The version of a policy: that of its code, then every hyperparameter. Throws a RangeError where that is too long. */
export function versionOf(code: number, values: Readonly<Record<string, number>>): string {
  const version = [code, ...Object.entries(values).map(([name, value]) => `${name}=${value}`)].join(';');
  if (version.length > versionMax) throw new RangeError(`${version} is longer than ${versionMax} characters`);
  return version;
}

/**
 * Of all policies that learn, in rewards: how many are worth as much as what they start from. With a noise of 0.5, a `kappa`
 * of 10 says that people differ from the population by 0.2. `lambda` counts rewards of everybody, and those of one person
 * say little about the next: it is larger, so that the first few people do not take the place of what was set by hand.
 * Positive, so that every model has one answer, by more than rounding takes away.
 */
export const learning = {
  lambda: { standard: 20, min: 0.001, max: 1e6 },
  kappa: { standard: 10, min: 0.001, max: 1e6 },
} as const;

/** Enough that no logged decision weighs more than a thousand others when another policy is estimated from the log. */
export const floor = { standard: 0.001, min: 0, max: 1 } as const;
