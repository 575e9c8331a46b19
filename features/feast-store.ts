import { create } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { createValidator } from '@bufbuild/protovalidate';
import { z } from 'zod';
import { ProfileFeaturesSchema } from '../gen/proto/oo/features/v1/features_pb.ts';
import { mergeCalls } from '../platform/merge-calls.ts';
import type { ProfileFeatureName } from './definitions.ts';
import type { FeastReadings } from './profile.ts';

export interface FeastStore {
  /**
   * What Feast knows of a person. A feature is absent where it does not know, or its value breaks the rules of the
   * contract. Settles within the store's time. Rejects where Feast cannot be reached, is late, or answers with an error
   * or not in its own form; the messages hold no personal data.
   */
  read(userId: string): Promise<FeastReadings>;
}

export interface FeastStoreOptions {
  /** Of the feature server, for example `http://localhost:6566`. */
  readonly url: string;
  /** The features to read, with Feast's reference for each: `view:feature`. */
  readonly features: ReadonlyMap<ProfileFeatureName, string>;
  /** For one read, the wait for others included. */
  readonly timeoutMs: number;
  /** The join key of the entity that is a person; its values are our user ids, so it must be a string. */
  readonly entityKey?: string;
}

/** People in one request, and requests at the same time. */
const maxBatch = 64;
const maxInFlight = 2;
/** No answer may be longer. One for 64 people takes some 100 bytes for each value. */
const answerBytesMax = 1_048_576;

/**
 * Reads features from a Feast feature server, one request for all people asked for in one turn of the event loop.
 * Statuses other than PRESENT are absence. PRESENT alone proves nothing: Feast's own server says so of values older than
 * their time-to-live, so each comes with its time, for our rules to judge.
 */
export function createFeastStore({ url, features, timeoutMs, entityKey = 'user_id' }: FeastStoreOptions): FeastStore {
  const endpoint = endpointOf(url);
  const wanted = [...features].map(([name, reference]) => ({ name, reference, column: reference.replace(':', '__') }));

  const ask = async (userIds: readonly string[], signal: AbortSignal): Promise<readonly FeastReadings[]> => {
    const body = JSON.stringify({
      features: wanted.map(({ reference }) => reference),
      entities: { [entityKey]: userIds },
      full_feature_names: true, // `view__feature`: two views may have features of one name
    });
    const headers = { 'content-type': 'application/json', accept: 'application/json' };
    const response = await fetch(endpoint, { method: 'POST', headers, body, signal, redirect: 'manual' });
    if (!response.ok) {
      response.body?.cancel().catch(() => undefined); // its text may name people
      throw new FeastError(`answered with status ${response.status}`);
    }
    return readAnswer(await readText(response), wanted, userIds.length);
  };

  const read = mergeCalls({
    maxBatch,
    maxInFlight,
    work: (userIds: readonly string[]) => {
      const signal = AbortSignal.timeout(timeoutMs);
      return ask(userIds, signal).catch((error) => fail(error, signal, timeoutMs));
    },
  });
  return { read: (userId) => within(timeoutMs, read(userId)) };
}

/** Why there is nothing from Feast. Fit for logs. */
class FeastError extends Error {
  override readonly name = 'FeastError';

  constructor(what: string) {
    super(`Feast ${what}`);
  }
}

interface Wanted {
  readonly name: ProfileFeatureName;
  /** What the answer calls it. */
  readonly column: string;
}

// Columns that nobody asked for are not looked at.
const answerSchema = z.object({
  metadata: z.object({ feature_names: z.array(z.string()) }),
  results: z.array(z.unknown()),
});
const columnSchema = z.object({
  values: z.array(z.unknown()),
  statuses: z.array(z.unknown()),
  event_timestamps: z.array(z.unknown()).optional(),
});
type Column = z.infer<typeof columnSchema>;
type Reading = NonNullable<ReturnType<FeastReadings['get']>>;

/** One entry for each person, in the order they were asked for. */
function readAnswer(text: string, wanted: readonly Wanted[], people: number): readonly FeastReadings[] {
  const answer = answerSchema.safeParse(parseJson(text));
  if (!answer.success) throw notUnderstood();
  const { metadata, results } = answer.data;
  const columns = wanted.map(({ name, column }) => ({
    name,
    column: readColumn(results[metadata.feature_names.indexOf(column)], people),
  }));
  return Array.from({ length: people }, (_, i) => {
    const readings = new Map<ProfileFeatureName, Reading>();
    for (const { name, column } of columns) {
      const reading = readValue(name, column, i);
      if (reading) readings.set(name, reading);
    }
    return readings;
  });
}

function readColumn(result: unknown, people: number): Column {
  const column = columnSchema.safeParse(result);
  if (!column.success) throw notUnderstood();
  const { values, statuses, event_timestamps = [] } = column.data;
  const isWhole =
    values.length === people &&
    statuses.length === people &&
    (event_timestamps.length === people || event_timestamps.length === 0);
  if (!isWhole) throw new FeastError('answered for another number of people than were asked for');
  return column.data;
}

function readValue(name: ProfileFeatureName, column: Column, i: number): Reading | undefined {
  const value = column.values[i];
  if (column.statuses[i] !== 'PRESENT' || typeof value !== 'number' || !keepsRules(name, value)) return undefined;
  return { value, asOfMs: readTime(column.event_timestamps?.[i]) };
}

/** Feast writes the epoch where it has no time. */
function readTime(text: unknown): number | undefined {
  const ms = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return ms > 0 ? ms : undefined;
}

const validator = createValidator({ failFast: true });
const fields = new Map(ProfileFeaturesSchema.fields.map((field) => [field.name, field]));

/** Whether the contract lets a caller send this value. */
function keepsRules(name: ProfileFeatureName, value: number): boolean {
  const field = fields.get(name);
  const profile = create(ProfileFeaturesSchema);
  if (!field) return false;
  try {
    reflect(ProfileFeaturesSchema, profile).set(field, value); // refuses what the type cannot hold, as 9.5 in a uint32
  } catch {
    return false;
  }
  return validator.validate(ProfileFeaturesSchema, profile).kind === 'valid';
}

async function within<Result>(timeoutMs: number, work: Promise<Result>): Promise<Result> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(tooLate(timeoutMs)), timeoutMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Keeps only the code of what went wrong below: the text of other errors can hold parts of the answer. */
function fail(error: unknown, signal: AbortSignal, timeoutMs: number): never {
  if (error instanceof FeastError) throw error;
  if (signal.aborted) throw tooLate(timeoutMs);
  const code = error instanceof Error ? (error.cause as { code?: unknown } | undefined)?.code : undefined;
  throw new FeastError(`could not be reached: ${typeof code === 'string' ? code : 'connection failed'}`);
}

function tooLate(timeoutMs: number): FeastError {
  return new FeastError(`did not answer within ${timeoutMs} ms`);
}

function notUnderstood(): FeastError {
  return new FeastError('answered with something else than the features asked for');
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > answerBytesMax) throw new FeastError(`answered with more than ${answerBytesMax} bytes`); // ends the reading
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function endpointOf(base: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/get-online-features`;
  return url;
}
