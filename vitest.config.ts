import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', 'gen/**', '.oo/**'],
    globalSetup: ['./tests/_util/global-setup.ts'],
    maxWorkers: 3, // they wait for servers more than they compute, also where there are two processors
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
