/** Every bound of the server in one place. Sizes in bytes, times in milliseconds. */
export interface ServerLimits {
  /** One request message, after decompression. Larger ones are `resource_exhausted`. */
  readonly readMaxBytes: number;
  /** One response message. gRPC clients refuse more than 4 MiB by default. */
  readonly writeMaxBytes: number;
  /** All headers of one request. */
  readonly headersMaxBytes: number;
  /** Open connections; further ones are closed at once. */
  readonly connectionsMax: number;
  /** Concurrent calls on one HTTP/2 connection; the client queues the rest. */
  readonly streamsMax: number;
  /**
   * Concurrent calls in the whole server, health and generation aside; further ones are `unavailable` before their body
   * is read.
   */
  readonly inFlightMax: number;
  /** The same of `Generate` and `GenerateStream`, apart: they wait long for little, and must not keep Scores out. */
  readonly generationsMax: number;
  /** Concurrent `Health.Watch` calls. */
  readonly watchesMax: number;
  /**
   * Calls that a client may cancel on one connection, at once and per second, before the connection is closed. Clients
   * with tight deadlines cancel a lot when we are slow, so this lies above what one connection can legitimately ask.
   */
  readonly streamResetBurst: number;
  readonly streamResetRatePerS: number;
  /** From the connection's start, or the request's, to the end of the headers. */
  readonly headersTimeoutMs: number;
  /** From an HTTP/1.1 request's start to the end of its body. On HTTP/2 the deadline bounds it. */
  readonly bodyTimeoutMs: number;
  /** An HTTP/1.1 connection between two requests. Longer than the 60 s after which load balancers close theirs. */
  readonly keepAliveMs: number;
  /** An HTTP/2 connection without calls. */
  readonly idleMs: number;
  /** For callers who set no deadline. */
  readonly deadlineDefaultMs: number;
  /** The same for `Generate` and `GenerateStream`, which wait for a language model. */
  readonly deadlineGenerateMs: number;
  /** Longer deadlines are cut to this one, not refused. */
  readonly deadlineMaxMs: number;
  /** From the deadline until the call's stream or connection is cut off, for callers who do not read the answer. */
  readonly overdueMs: number;
  /** For calls that a shutdown has aborted, to tell their callers. */
  readonly abortMs: number;
}

export const serverLimits: ServerLimits = {
  readMaxBytes: 1024 * 1024,
  writeMaxBytes: 4 * 1024 * 1024,
  headersMaxBytes: 16 * 1024,
  connectionsMax: 1000,
  streamsMax: 128,
  inFlightMax: 1000,
  generationsMax: 1000,
  watchesMax: 1000,
  streamResetBurst: 10_000,
  streamResetRatePerS: 2000,
  headersTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  keepAliveMs: 65_000,
  idleMs: 300_000,
  deadlineDefaultMs: 5000,
  deadlineGenerateMs: 30_000,
  deadlineMaxMs: 60_000,
  overdueMs: 5000,
  abortMs: 1000,
};
