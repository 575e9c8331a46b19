import { defineConfig } from 'vitest/config';

/** What `npm test` does in seconds, for minutes: SOAK_MINUTES (10) of a storm, and a quarter of that of model runs. */
export default defineConfig({
  test: {
    env: { SOAK: 'true' },
    include: ['tests/chaos/storm.soak.ts', 'tests/chaos/model.test.ts'],
    globalSetup: ['./tests/_util/global-setup.ts'],
    fileParallelism: false,
    disableConsoleIntercept: true,
    bail: 1,
    hookTimeout: 60_000,
  },
});
