#!/usr/bin/env bash
# Fails if gen/ is not exactly what proto/ and prisma/ generate now. Touches nothing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PWD/node_modules/.bin:$PATH"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

scripts/buf-check.sh --only generated

mkdir "$tmp/prisma"
cp prisma/schema.prisma "$tmp/prisma"
node scripts/db.ts prisma generate --schema "$tmp/prisma/schema.prisma" --no-hints >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; exit 1; }
if ! diff -rq "$tmp/gen/prisma" gen/prisma; then
  echo 'FAIL gen/prisma is not what prisma generates: npm run generate' >&2
  exit 100
fi
echo 'ok   gen/prisma is what prisma generates'
