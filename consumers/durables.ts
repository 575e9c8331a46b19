import type { Durable } from '../platform/bus.ts';
import { streams } from '../platform/streams.ts';

/** Messages in one statement, and statements at once for each durable. */
export const batchSize = 500;
export const batchesInFlight = 2;
/** How long the first message of a batch waits for others, in milliseconds. */
export const lingerMs = 20;

const processes = 2;
const maxAckPending = processes * (batchesInFlight + 1) * batchSize;

/** What this process reads. All three lead to the same statement: a payload may be accepted on more than one stream. */
export function durablesOf(ackWaitMs: number): readonly Durable[] {
  return [streams.signals, streams.feedback, streams.decisions].map(({ name }) => ({
    stream: name,
    name: `feature-pipeline-${name}`,
    ackWaitMs,
    maxAckPending,
  }));
}
