// The three distributions that the analysis needs, from two continued fractions and one search. Written here, as the
// packages that have them are WebAssembly, a hundred modules or without types; tested against mpmath.

/** Chi-square: the probability of `x` or more with `df` degrees of freedom. */
export function chiSquareTail(x: number, df: number): number {
  return x <= 0 ? 1 : upperGamma(df / 2, x / 2);
}

/** The number of standard deviations under which a standard normal variable stays with probability `p`, 0 < p < 1. */
export function normalQuantile(p: number): number {
  return quantile(p, (z) => upperGamma(0.5, (z * z) / 2) / 2);
}

/** As `normalQuantile`, of Student's t with `df` degrees of freedom, 1 or more and not always whole. */
export function studentQuantile(p: number, df: number): number {
  if (df > 1e4) return nearlyNormal(normalQuantile(p), df);
  return quantile(p, (t) => lowerBeta(df / 2, 0.5, df / (df + t * t)) / 2);
}

/** Abramowitz, Stegun: Handbook of Mathematical Functions, 26.7.5, whose next term is below 1e-9 at 10,000. */
function nearlyNormal(z: number, df: number): number {
  return z + (z ** 3 + z) / (4 * df) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * df ** 2);
}

/** Where a distribution that is symmetric about 0 reaches `p`, given the probability above a positive point. */
function quantile(p: number, tail: (at: number) => number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`no quantile at ${p}`);
  if (p < 0.5) return -quantile(1 - p, tail);
  let [low, high] = [0, 1];
  while (tail(high) > 1 - p) [low, high] = [high, 2 * high];
  // halves until two doubles are neighbours
  for (let middle = (low + high) / 2; middle > low && middle < high; middle = (low + high) / 2) {
    if (tail(middle) > 1 - p) low = middle;
    else high = middle;
  }
  return low;
}

const smallest = 1e-300; // stands for a denominator of 0
const maxSteps = 10_000;

/** Q(a, x), the upper regularised incomplete gamma function. Press et al.: Numerical Recipes, 3rd edition, 6.2. */
function upperGamma(a: number, x: number): number {
  if (x === 0) return 1;
  const factor = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < maxSteps && term > sum * Number.EPSILON; n++) {
      term *= x / (a + n);
      sum += term;
    }
    return 1 - factor * sum;
  }
  const fraction = continuedFraction(x + 1 - a, (n) => [-n * (n - a), x + 2 * n + 1 - a]);
  return factor / fraction;
}

/** I_x(a, b), the regularised incomplete beta function. The same book, 6.4. */
function lowerBeta(a: number, b: number, x: number): number {
  if (x === 0 || x === 1) return x;
  const factor = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  const fractionOf = (p: number, q: number, y: number) =>
    continuedFraction(1, (n) => {
      const m = Math.floor(n / 2);
      const even = (m * (q - m) * y) / ((p + 2 * m - 1) * (p + 2 * m));
      const odd = (-(p + m) * (p + q + m) * y) / ((p + 2 * m) * (p + 2 * m + 1));
      return [n % 2 === 0 ? even : odd, 1];
    });
  return x < (a + 1) / (a + b + 2) ? factor / (a * fractionOf(a, b, x)) : 1 - factor / (b * fractionOf(b, a, 1 - x));
}

/** first + a1/(b1 + a2/(b2 + ...)), with `at(n)` = [an, bn], by the method of Lentz. The same book, 5.2. */
function continuedFraction(first: number, at: (n: number) => readonly [number, number]): number {
  let value = first === 0 ? smallest : first;
  let upper = value;
  let lower = 0;
  for (let n = 1; n < maxSteps; n++) {
    const [a, b] = at(n);
    lower = 1 / (b + a * lower || smallest);
    upper = b + a / upper || smallest;
    value *= upper * lower;
    if (Math.abs(upper * lower - 1) < 4 * Number.EPSILON) break;
  }
  return value;
}

const lanczos = [
  0.9999999999998099, 676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
] as const;

/** ln Γ(x) for x of 0.5 and more. Lanczos, SIAM J. Numer. Anal. 1, 1964, with g = 7 and the nine terms of Godfrey. */
function logGamma(x: number): number {
  const t = x + 6.5;
  const sum = lanczos.reduce((total, c, i) => total + (i === 0 ? c : c / (x - 1 + i)), 0);
  return Math.log(2 * Math.PI) / 2 + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}
