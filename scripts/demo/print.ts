import { styleText } from 'node:util';

export const bold = (text: string): string => styleText('bold', text);
export const dim = (text: string): string => styleText('dim', text);
export const green = (text: string): string => styleText('green', text);

export function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

export function heading(text: string): void {
  say();
  say(bold(text));
}

/** Rows under a dimmed header, columns as wide as their widest cell; numbers stand to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const isNumeric = header.map((_, i) => rows.every((row) => /^[-+]?[\d.,]+( %| s)?$|^–$/.test(row[i] ?? '')));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (isNumeric[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('   ')
      .trimEnd();
  say(`   ${dim(line(header))}`);
  for (const row of rows) say(`   ${line(row)}`);
}

export const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;
