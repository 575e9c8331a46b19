import { setTimeout as sleep } from 'node:timers/promises';

/** Asks every 50 ms until the answer is something; says what it was waiting for when `timeoutMs` is over. */
export async function waitFor<Result>(
  what: string,
  ask: () => Promise<Result | null | undefined | false>,
  timeoutMs = 60_000,
): Promise<Result> {
  const endsAt = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > endsAt) throw new Error(`waited ${timeoutMs / 1000} s for ${what}`);
    await sleep(50);
  }
}
