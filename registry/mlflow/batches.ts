// What MLflow takes in one call of log-batch. Pure.

export interface Metric {
  readonly key: string;
  readonly value: number;
  readonly timestamp: number;
  readonly step: number;
}

export interface Entry {
  readonly key: string;
  readonly value: string;
}

/** What is told of a run. */
export interface Facts {
  readonly metrics: readonly Metric[];
  readonly params: readonly Entry[];
  readonly tags: readonly Entry[];
}

export const factLimits = {
  batch: { entries: 1_000, metrics: 1_000, params: 100, tags: 100, bytes: 1_000_000 },
  keyLength: 250,
  paramBytes: 6_000,
  tagBytes: 5_000,
} as const;

/**
 * Facts in as few calls as MLflow allows, in their order. It takes a call in parts where it fails in the middle, so each part
 * must be one that can be sent again. Throws a RangeError that names a key or value that MLflow would not take.
 */
export function batchesOf({ metrics, params, tags }: Facts): readonly Facts[] {
  for (const { key } of [...metrics, ...params, ...tags])
    if (key.length === 0 || key.length > factLimits.keyLength)
      throw new RangeError(`MLflow takes keys of 1 to ${factLimits.keyLength} characters: ${key.slice(0, 64)}`);
  refuseLong('parameter', params, factLimits.paramBytes);
  refuseLong('tag', tags, factLimits.tagBytes);

  const batches: Batch[] = [];
  const roomFor = (kind: keyof Facts, size: number): Batch => {
    const { batch } = factLimits;
    const last = batches.at(-1);
    const hasRoom =
      last && last[kind].length < batch[kind] && last.entries < batch.entries && last.bytes + size <= batch.bytes;
    const found = hasRoom ? last : { metrics: [], params: [], tags: [], entries: 0, bytes: envelopeBytes };
    if (!hasRoom) batches.push(found);
    found.entries++;
    found.bytes += size;
    return found;
  };
  const sizeOf = (each: Metric | Entry) => bytesOf(JSON.stringify(each)) + 1;
  for (const each of params) roomFor('params', sizeOf(each)).params.push(each);
  for (const each of metrics) roomFor('metrics', sizeOf(each)).metrics.push(each);
  for (const each of tags) roomFor('tags', sizeOf(each)).tags.push(each);
  return batches.map(({ metrics, params, tags }) => ({ metrics, params, tags }));
}

interface Batch {
  readonly metrics: Metric[];
  readonly params: Entry[];
  readonly tags: Entry[];
  entries: number;
  bytes: number;
}

/** Of the run's id, and the names of the lists. */
const envelopeBytes = 256;

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

function refuseLong(what: string, entries: readonly Entry[], bytesMax: number): void {
  const long = entries.find(({ value }) => bytesOf(value) > bytesMax);
  if (long) throw new RangeError(`MLflow takes ${bytesMax} bytes for a ${what}, and ${long.key} has more`);
}
