import { createHash } from 'node:crypto';
import { dayMs } from '../platform/clock.ts';
import { namedId } from '../platform/ids.ts';

/** Where an event was when it first could not be stored. */
export interface Origin {
  readonly stream: string;
  readonly streamSequence: number;
}

/**
 * The id of a dead letter. What it holds is part of it: no header that somebody made up, and no sequence of a stream
 * that was made anew, leads to the letter of another event.
 */
export function letterId({ stream, streamSequence }: Origin, subject: string, data: Uint8Array): string {
  const digest = createHash('sha256').update(data).digest('hex');
  return namedId(JSON.stringify([stream, streamSequence, subject, digest]));
}

const header = { origin: 'Oo-Dead-Letter', at: 'Oo-Replayed-At' } as const;

/** What a replayed event carries beside its own headers: which letter it is, should it fail again, and since when. */
export function replayHeaders({ stream, streamSequence }: Origin, atMs: number): Readonly<Record<string, string>> {
  return { [header.origin]: `${stream}/${streamSequence}`, [header.at]: String(atMs) };
}

export interface Replay {
  readonly origin: Origin;
  readonly atMs: number;
}

/** The reverse of `replayHeaders`. Undefined: the event was not replayed. */
export function readReplay(headers: Readonly<Record<string, string>>): Replay | undefined {
  const [, stream, sequence] = /^([a-z]+)\/(\d{1,15})$/.exec(headers[header.origin] ?? '') ?? [];
  const [atMs] = /^\d{1,15}$/.exec(headers[header.at] ?? '') ?? [];
  if (stream === undefined || sequence === undefined || atMs === undefined) return undefined;
  return { origin: { stream, streamSequence: Number(sequence) }, atMs: Number(atMs) };
}

/** The headers without those of a replay. */
export function withoutReplay(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { [header.origin]: _, [header.at]: __, ...rest } = headers;
  return rest;
}

/**
 * When a letter was seen, by the clock of the stream that took it: after the replay it comes from, however the clocks
 * of two machines differ. A replay in the far future is made up.
 */
export function seenAt(takenAtMs: number, replay: Replay | undefined): number {
  if (!replay || replay.atMs > takenAtMs + dayMs) return takenAtMs;
  return Math.max(takenAtMs, replay.atMs + 1);
}
