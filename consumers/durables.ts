import type { Durable } from '../platform/bus.ts';
import { streams } from '../platform/streams.ts';

/** Messages in one statement, and statements at once for each durable. */
export const batchSize = 500;
export const batchesInFlight = 2;
/** Dead letters in one statement: few, since each may be as large as the bus takes. */
export const lettersBatchSize = 50;
/** How long the first message of a batch waits for others, in milliseconds. */
export const lingerMs = 20;

const processes = 2;
const maxAckPending = processes * (batchesInFlight + 1) * batchSize;

/**
 * What this process reads. The streams of events all lead to the same statement: a payload may be accepted on more than
 * one of them. That of dead letters comes last, as what the others put aside arrives there.
 */
export function durablesOf(ackWaitMs: number): readonly Durable[] {
  return Object.values(streams).map(({ name }) => ({
    stream: name,
    name: `feature-pipeline-${name}`,
    ackWaitMs,
    maxAckPending,
  }));
}
