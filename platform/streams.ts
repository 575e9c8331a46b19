/** A JetStream stream as every process expects it. The names are part of the design and do not change. */
export interface Stream {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly maxAgeMs: number;
  /** Larger messages are refused when they are published. Undefined: as large as the server takes. */
  readonly maxMessageBytes?: number;
}

const day = 86_400_000;
/** Twice the largest decision there can be; leaves room for a dead letter's headers within the server's 1 MiB. */
const maxMessageBytes = 512 * 1024;

export const streams = {
  signals: { name: 'signals', subjects: ['signals.>'], maxAgeMs: 7 * day, maxMessageBytes },
  feedback: { name: 'feedback', subjects: ['feedback.>'], maxAgeMs: 30 * day, maxMessageBytes },
  decisions: { name: 'decisions', subjects: ['decisions.>'], maxAgeMs: 30 * day, maxMessageBytes },
  /** Kept until someone has looked: longer than any stream that feeds it. */
  deadletters: { name: 'deadletters', subjects: ['deadletters.>'], maxAgeMs: 90 * day },
} as const satisfies Record<string, Stream>;

/**
 * How long a stream remembers message ids, in milliseconds. Within it a repeated publish is answered with the sequence
 * of the first, which is how a repeated Score finds its first answer before the consumers have stored it.
 */
export const duplicateWindowMs = 10 * 60_000;
