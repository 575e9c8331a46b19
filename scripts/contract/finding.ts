/** One thing that is wrong, and where. */
export interface Finding {
  /** From the root of the repository. */
  path: string;
  /** Counted from 1. */
  line: number;
  /** Ours start with `OO_`; the others are buf's. */
  rule: string;
  message: string;
}

/**
 * Reads one line of findings: ours, or what `buf --error-format=json` prints. Undefined for a line that is neither
 * (buf says why it could not run in plain words).
 */
export function parseFinding(line: string): Finding | undefined {
  let json: Record<string, unknown> | null;
  try {
    json = JSON.parse(line);
  } catch {
    return undefined;
  }
  const rule = json?.rule ?? json?.type;
  if (!json || typeof rule !== 'string' || typeof json.message !== 'string') return undefined;
  return {
    // buf names no path for a file that is gone.
    path: typeof json.path === 'string' ? json.path : '',
    line: Number(json.line ?? json.start_line ?? 1),
    rule,
    message: json.message,
  };
}

/** For a person: `proto/oo/a.proto:12: what is wrong [RULE]`. */
export function formatFinding({ path, line, rule, message }: Finding): string {
  return `${path}:${line}: ${message} [${rule}]`;
}
