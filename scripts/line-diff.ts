/** One line of two texts: of both, only of the first, or only of the second. */
export interface DiffLine {
  readonly sign: ' ' | '-' | '+';
  readonly line: string;
}

/** The shortest way from one list of lines to the other, by their longest common subsequence: for texts of some hundred lines. */
export function diffLines(before: readonly string[], after: readonly string[]): readonly DiffLine[] {
  // lengths[i][j]: how many lines before[i..] and after[j..] have in common
  const lengths = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1));
  const at = (i: number, j: number) => lengths[i]?.[j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    const row = lengths[i];
    if (!row) continue;
    for (let j = after.length - 1; j >= 0; j--)
      row[j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  }

  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    const [old, fresh] = [before[i], after[j]];
    if (old !== undefined && old === fresh) {
      lines.push({ sign: ' ', line: old });
      i++;
      j++;
    } else if (old !== undefined && (fresh === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ sign: '-', line: old });
      i++;
    } else if (fresh !== undefined) {
      lines.push({ sign: '+', line: fresh });
      j++;
    }
  }
  return lines;
}

/** The lines that differ, with so many around them. Undefined stands for what is left out between. */
export function withoutEqual(lines: readonly DiffLine[], around = 2): readonly (DiffLine | undefined)[] {
  const near = lines.map((_, i) =>
    lines.slice(Math.max(0, i - around), i + around + 1).some(({ sign }) => sign !== ' '),
  );
  return lines.flatMap((line, i) => {
    if (near[i]) return [line];
    return near[i - 1] ? [undefined] : [];
  });
}
