// Where a process of consumers can be killed: between every two steps of an event's way, and of a dead letter's.

/** A point, and at which of its passages. */
export interface Crash {
  readonly point: CrashPoint;
  readonly passage: number;
}

export type CrashPoint = (typeof crashPoints)[number];

export const crashPoints = [
  'before a fetch',
  'after a delivery',
  'before storing', // decoded
  'while storing',
  'after storing', // committed, nothing acknowledged
  'after an acknowledgement', // of one; the others of its batch are not
  'after a heartbeat',
  'before burying',
  'after burying', // in the stream of dead letters, still in its own
  'after a termination',
  'after a letter was delivered',
  'before noting a letter',
  'while noting a letter',
  'after noting a letter',
  'after the acknowledgement of a letter',
] as const;

/** Every point at its first passage, and again where what came before it makes a difference. */
export const crashes: readonly Crash[] = [
  ...crashPoints.map((point) => ({ point, passage: 1 })),
  { point: 'before a fetch', passage: 3 },
  { point: 'after a delivery', passage: 7 },
  { point: 'after storing', passage: 2 },
  { point: 'after an acknowledgement', passage: 5 },
  { point: 'after burying', passage: 2 },
  { point: 'after a termination', passage: 2 },
];
