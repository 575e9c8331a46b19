export interface MergeOptions<Asked, Answer> {
  /** Calls in one batch. */
  readonly maxBatch: number;
  /** Batches at work at the same time; further calls wait. */
  readonly maxInFlight: number;
  /** Answers a batch, in its order. Its rejection is that of all its calls. */
  readonly work: (batch: readonly Asked[]) => Promise<readonly Answer[]>;
}

interface Call<Asked, Answer> {
  readonly asked: Asked;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/** Merges the calls of one turn of the event loop into one batch, so that an idle process still answers at once. */
export function mergeCalls<Asked, Answer extends object>({
  maxBatch,
  maxInFlight,
  work,
}: MergeOptions<Asked, Answer>): (asked: Asked) => Promise<Answer> {
  const waiting: Call<Asked, Answer>[] = [];
  let inFlight = 0;
  let isScheduled = false;

  function schedule() {
    if (isScheduled || inFlight >= maxInFlight || waiting.length === 0) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      void run(waiting.splice(0, maxBatch));
      schedule();
    });
  }

  async function run(batch: readonly Call<Asked, Answer>[]) {
    inFlight++;
    try {
      const answers = await work(batch.map(({ asked }) => asked));
      for (const [i, { resolve, reject }] of batch.entries()) {
        const answer = answers[i];
        if (answer) resolve(answer);
        else reject(new Error('a batch got fewer answers than it has calls'));
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      inFlight--;
      schedule();
    }
  }

  return (asked) =>
    new Promise((resolve, reject) => {
      waiting.push({ asked, resolve, reject });
      schedule();
    });
}
