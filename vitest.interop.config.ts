import { defineConfig } from 'vitest/config';

/** Tests against other projects' real servers, which npm does not bring. */
export default defineConfig({
  test: {
    include: ['tests/interop/**/*.interop.ts'],
    globalSetup: ['./tests/_util/global-setup.ts', './tests/interop/global-setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
