import { defineConfig } from 'prisma/config';

const url = process.env.DATABASE_URL;

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  // Commands that need no database (generate, validate, format) work without one.
  ...(url === undefined ? {} : { datasource: { url } }),
});
