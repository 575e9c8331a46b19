// Who lives in the simulation. Nobody was asked: these are ways in which people can differ, made up so that no single order
// of tips pleases all of them, and fixed before any policy was tried on them.

/** What moves a person, in units of log-odds: whether an attentive person says yes to a tip is logistic in their sum. */
export const tasteNames = [
  'base',
  'overdue',
  /** Per 30 days, up to 30. */
  'age',
  /** From priority 1 to 4. */
  'important',
  /** Overdue and important at the same time, beyond the two alone. */
  'urgent',
  'task',
  'advice',
  'insight',
  'reminder',
  /** Each kind of tip has its hours: tasks and reminders around the person's best hour, the others away from it. */
  'timely',
  /** Of another kind than the tip before. */
  'novel',
] as const;

export type Taste = Readonly<Record<(typeof tasteNames)[number], number>>;

export interface Persona {
  readonly name: string;
  /** Hours of the day at which the person asks for a tip, in UTC. */
  readonly hours: readonly number[];
  readonly bestHour: number;
  readonly taste: Taste;
  /** The probability of looking at a tip at all, at the best hour and with no tip before it that day. */
  readonly attention: number;
  /** By how much attention falls with each tip of the day: it is multiplied by exp(-fatigue). */
  readonly fatigue: number;
  /** What a person does with a tip that they do not want. Shares that sum to 1. */
  readonly refusal: { readonly dismiss: number; readonly notHelpful: number; readonly snooze: number };
  /** The usual time from showing to done, of a tip of no importance. */
  readonly dwellMs: number;
}

const second = 1000;
const mild = { urgent: 0, task: 0, advice: 0, insight: 0, reminder: 0, timely: 0.4, novel: 0.3 };

export const personas: readonly Persona[] = [
  {
    name: 'early-bird',
    hours: [6, 8, 13],
    bestHour: 7,
    taste: { ...mild, base: 0, overdue: 0.3, age: -0.4, important: 1.2, task: 0.4, reminder: 0.3, timely: 0.9 },
    attention: 0.9,
    fatigue: 0.15,
    refusal: { dismiss: 0.4, notHelpful: 0.2, snooze: 0.4 },
    dwellMs: 45 * second,
  },
  {
    name: 'night-owl',
    hours: [12, 18, 23],
    bestHour: 22,
    taste: { ...mild, base: 0, overdue: 0.4, age: 0, important: -0.4, insight: 0.7, advice: 0.4, timely: 0.9 },
    attention: 0.8,
    fatigue: 0.2,
    refusal: { dismiss: 0.3, notHelpful: 0.2, snooze: 0.5 },
    dwellMs: 70 * second,
  },
  {
    name: 'procrastinator', // wants what is easy
    hours: [10, 15, 20],
    bestHour: 16,
    taste: { ...mild, base: 0.6, overdue: -1.4, age: -0.8, important: -1.4, advice: 0.3, novel: 0.6 },
    attention: 0.8,
    fatigue: 0.3,
    refusal: { dismiss: 0.5, notHelpful: 0.1, snooze: 0.4 },
    dwellMs: 50 * second,
  },
  {
    name: 'firefighter', // does what burns
    hours: [9, 14, 17],
    bestHour: 10,
    taste: { ...mild, base: -1, overdue: 1.8, age: 0.2, important: 0.4, urgent: 1, task: 0.3, insight: -0.6 },
    attention: 0.9,
    fatigue: 0.1,
    refusal: { dismiss: 0.5, notHelpful: 0.3, snooze: 0.2 },
    dwellMs: 35 * second,
  },
  {
    name: 'dismisser',
    hours: [8, 19],
    bestHour: 12,
    taste: { ...mild, base: -1.6, overdue: -0.4, age: -0.6, important: 0.6, reminder: -0.4, novel: 0.5 },
    attention: 0.9,
    fatigue: 0.4,
    refusal: { dismiss: 0.85, notHelpful: 0.1, snooze: 0.05 },
    dwellMs: 25 * second,
  },
  {
    name: 'steady', // the oldest first
    hours: [8, 12, 16, 20],
    bestHour: 12,
    taste: { ...mild, base: 0.3, overdue: 0.3, age: 0.9, important: 0.2, task: 0.3, novel: 0 },
    attention: 0.95,
    fatigue: 0.05,
    refusal: { dismiss: 0.2, notHelpful: 0.2, snooze: 0.6 },
    dwellMs: 90 * second,
  },
];
