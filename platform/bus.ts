import type { Stream } from './streams.ts';

/** The event bus as this project needs it. Its one adapter is `nats-bus.ts`. */
export interface Bus {
  /** Creates the streams that are missing and brings the others to these settings. */
  ensureStreams(streams: readonly Stream[]): Promise<void>;
  /** Creates a durable consumer of all messages of a stream, if it is missing. */
  ensureDurable(durable: Durable): Promise<void>;
  /**
   * Stores a message and returns once the stream has it. Tries again until `timeoutMs` is over, always under the same
   * `id`, so that it is stored once. Throws BusError.
   */
  publish(subject: string, data: Uint8Array, options: PublishOptions): Promise<PublishAck>;
  /** Reads a stored message by its sequence. Throws BusError. */
  read(stream: string, sequence: number): Promise<StoredMessage>;
  /** Removes a stored message for good, its bytes included. One that is not there is fine. Throws BusError. */
  remove(stream: string, sequence: number): Promise<void>;
  /**
   * Gives up to `max` messages of a durable to `take`, as they arrive, for at most `expiresMs`. Ends early on `signal`
   * and when the bus closes. Throws BusError.
   */
  fetch(durable: Durable, options: FetchOptions, take: (delivery: Delivery) => void): Promise<void>;
  /** How far a stream has come, and how far a durable of it. */
  inspect(stream: string, durable?: string): Promise<StreamState>;
  /** Settles when the connection is gone for good: with the reason, or with nothing after `close`. */
  readonly closed: Promise<Error | undefined>;
  /** Sends what is buffered, then disconnects. */
  close(): Promise<void>;
}

export interface Durable {
  readonly stream: string;
  readonly name: string;
  /** A message that is not acknowledged for this long is delivered again: the recovery time after a crash. */
  readonly ackWaitMs: number;
  readonly maxAckPending: number;
}

export interface PublishOptions {
  /** The message id: a repeat within the stream's duplicate window is not stored again. */
  readonly id: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

export interface PublishAck {
  readonly sequence: number;
  /** Whether the id was there already. `sequence` is then that of the first message. */
  readonly duplicate: boolean;
}

export interface StoredMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

export interface StreamState {
  readonly messages: number;
  readonly lastSequence: number;
  /** Every message up to here has been settled by the durable. 0 without a durable. */
  readonly settledSequence: number;
}

export interface FetchOptions {
  readonly max: number;
  readonly expiresMs: number;
  readonly signal: AbortSignal;
}

export interface Delivery {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  readonly sequence: number;
  /** When its stream took it. */
  readonly takenAtMs: number;
  /** How often this message has been delivered, this time included. Not a reason to skip duplicate checks. */
  readonly deliveries: number;
  /** Done with it. Lost acknowledgements are harmless: the message comes again. */
  ack(): void;
  /** Still at it: starts the ack wait anew. */
  working(): void;
  /** Never deliver it again. */
  terminate(): void;
}

/** The bus could not take or give a message. `unavailable`: trying again may help. */
export class BusError extends Error {
  override readonly name = 'BusError';
  readonly kind: 'unavailable' | 'refused';

  constructor(kind: BusError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}
