import { type Draws, firstCounter } from '../draw.ts';
import { epsilonGreedy, leastOf, withFloor } from './exploration.ts';
import { floor, settle, type Values, versionOf } from './hyperparameters.ts';
import type { Outcome } from './policy.ts';

// For sets that stay the same and have no vectors, such as prompt versions: what each arm has earned is all there is.

/** What one arm has earned. Both are sums of whole numbers, so they add like any statistics. */
export interface Arm {
  readonly pulls: number;
  /** Sum of the rewards in thousandths, each -1000 to 1000. */
  readonly reward: number;
}

/** A way to choose among arms. Pure. */
export interface ArmPolicy {
  readonly name: string;
  /** Changes with the code, and names every hyperparameter. At most 64 characters. */
  readonly version: string;
  /** What no propensity falls below, by the number of arms. */
  leastPropensity(arms: number): number;
  /** Undefined: an arm's counts are none that pulls can lead to. Scores are mean rewards, -1 to 1; 0 before any pull. */
  choose(arms: readonly Arm[], draws: Draws): Outcome | undefined;
}

export const betaThompsonHyperparameters = {
  samples: { standard: 128, min: 1, max: 1024, isWhole: true },
  floor,
} as const;

/**
 * An arm is chosen as often as its draw is the highest, out of a Beta distribution that starts uniform. Chapelle, Li: An
 * Empirical Evaluation of Thompson Sampling, NIPS 2011, algorithm 2. Rewards of -1 to 1 count as parts of a success. They
 * vary less than successes and failures do, so the distribution is wider than it had to be, never narrower. As in
 * lin-thompson, the shares of wins with the floor are exactly what is drawn from.
 */
export function createBetaThompson(given: Partial<Values<typeof betaThompsonHyperparameters>> = {}): ArmPolicy {
  const values = settle(betaThompsonHyperparameters, given);
  return {
    name: 'beta-thompson',
    version: versionOf(1, values),
    leastPropensity: (arms) => leastOf(values.floor, arms),
    choose(arms, draws) {
      if (!arms.every(isPossible)) return undefined;
      const wins = arms.map(() => 0);
      for (let sample = 0; sample < values.samples; sample++) {
        let best = -1;
        let winner = 0;
        for (const [i, arm] of arms.entries()) {
          const value = betaOf(arm, draws, firstCounter + (sample * arms.length + i) * 2 * gammaCounters);
          if (value > best) {
            best = value;
            winner = i;
          }
        }
        wins[winner] = (wins[winner] ?? 0) + 1;
      }
      const weights = wins.map((count) => count / values.samples);
      return { scores: arms.map(meanReward), propensities: withFloor(weights, values.floor) };
    },
  };
}

/** A variate of Beta(1 + successes, 1 + failures) as a share of two gamma variates. */
function betaOf({ pulls, reward }: Arm, draws: Draws, counter: number): number {
  const successes = (pulls + reward / 1000) / 2;
  const success = gammaOf(1 + successes, draws, counter);
  const failure = gammaOf(1 + pulls - successes, draws, counter + gammaCounters);
  return success / (success + failure);
}

/** Tries for one gamma variate. One in twenty is refused, so nobody ever sees the last. */
const gammaTries = 32;
const gammaCounters = 2 * gammaTries;

/**
 * A variate of the gamma distribution with a shape of 1 or more and the scale 1. Marsaglia, Tsang: A Simple Method for
 * Generating Gamma Variables, ACM TOMS 26(3), 2000. Each try has two counters, used or not.
 */
function gammaOf(shape: number, draws: Draws, counter: number): number {
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (let i = 0; i < gammaTries; i++) {
    const x = draws.normal(counter + 2 * i);
    const root = 1 + c * x;
    const v = root * root * root;
    if (root <= 0) continue;
    const u = draws.uniform(counter + 2 * i + 1);
    if (u < 1 - 0.0331 * x * x * x * x) return d * v;
    if (Math.log(u) < 0.5 * x * x + d * (1 - v + Math.log(v))) return d * v;
  }
  return d;
}

export const ucb1Hyperparameters = { epsilon: { standard: 0.05, min: 0, max: 1 } } as const;

/**
 * The arm wins that could be best: the one with the highest mean + sqrt(2 ln(all pulls) / pulls), rewards taken as 0 to 1;
 * arms never pulled come first. Auer, Cesa-Bianchi, Fischer: Finite-time Analysis of the Multiarmed Bandit Problem,
 * Machine Learning 47, 2002, figure 1. As in linucb-v1, `epsilon` is shared by all, so that the log tells something of
 * the others.
 */
export function createUcb1(given: Partial<Values<typeof ucb1Hyperparameters>> = {}): ArmPolicy {
  const values = settle(ucb1Hyperparameters, given);
  return {
    name: 'ucb1',
    version: versionOf(1, values),
    leastPropensity: (arms) => values.epsilon / arms,
    choose(arms) {
      if (!arms.every(isPossible)) return undefined;
      const all = arms.reduce((total, { pulls }) => total + pulls, 0);
      const bounds = arms.map((arm) =>
        arm.pulls === 0
          ? Number.POSITIVE_INFINITY
          : (1 + meanReward(arm)) / 2 + Math.sqrt((2 * Math.log(all)) / arm.pulls),
      );
      return { scores: arms.map(meanReward), propensities: epsilonGreedy(bounds, values.epsilon) };
    },
  };
}

function meanReward({ pulls, reward }: Arm): number {
  return pulls === 0 ? 0 : reward / (1000 * pulls);
}

function isPossible({ pulls, reward }: Arm): boolean {
  const isWhole = Number.isSafeInteger(pulls) && Number.isSafeInteger(reward);
  return isWhole && pulls >= 0 && Math.abs(reward) <= 1000 * pulls;
}

export const betaThompson = createBetaThompson();
export const ucb1 = createUcb1();

/** With as many samples as there may be: a bandit asks once for each measurement, not for each request. */
const forBandits = {
  'beta-thompson': ({ floor }) => createBetaThompson({ samples: betaThompsonHyperparameters.samples.max, floor }),
  ucb1: ({ floor, arms }) => createUcb1({ epsilon: Math.min(1, floor * arms) }),
} as const satisfies Record<string, (given: { readonly floor: number; readonly arms: number }) => ArmPolicy>;

export type ArmPolicyName = keyof typeof forBandits;
export const armPolicyNames = Object.keys(forBandits) as ArmPolicyName[];

/** The policy of that name that gives each of so many arms `floor`, and shares the rest. */
export function createArmPolicy(
  name: ArmPolicyName,
  given: { readonly floor: number; readonly arms: number },
): ArmPolicy {
  return forBandits[name](given);
}
