/** Reads a command's arguments. What `read` throws is for whoever typed them: the process ends with 2. */
export function readArguments<Options>(usage: string, read: () => Options): Options {
  process.stdout.on('error', endQuietly);
  try {
    return read();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}\n`);
    process.exit(2);
  }
}

/** Whoever reads has read enough, as `head` does: there is nothing to complain of. */
function endQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
}

/** A share of the whole. Default: all of it. Throws on anything but a number above 0 and at most 1. */
export function readShare(name: string, text = '1'): number {
  const share = Number(text);
  if (!(share > 0 && share <= 1)) throw new Error(`${name} must be a share, above 0 and at most 1`);
  return share;
}

/** An instant in ISO 8601 with its zone, in milliseconds. Throws on anything else: without a zone it could be any of many. */
export function readInstant(name: string, text: string): number {
  const isWhole = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/.test(text);
  const atMs = isWhole ? Date.parse(text) : Number.NaN;
  const day = text.slice(0, 10);
  const isDay = !Number.isNaN(atMs) && new Date(Date.parse(`${day}T00:00Z`)).toISOString().startsWith(day); // the 30th of February is none
  if (!isDay) throw new Error(`${name} must be an instant such as 2026-11-23T00:00:00Z`);
  return atMs;
}
