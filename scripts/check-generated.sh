#!/usr/bin/env bash
# Fails if gen/ and tests/evolution/gen are not exactly what proto/, prisma/ and tests/evolution/proto generate now.
# Touches nothing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PWD/node_modules/.bin:$PATH"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

scripts/buf-check.sh --only generated

next=tests/evolution
buf generate $next/proto --config $next/buf.yaml --template $next/buf.gen.yaml -o "$tmp"
if ! diff -rq "$tmp/$next/gen" $next/gen; then
  echo "FAIL $next/gen is not what buf generates: npm run generate" >&2
  exit 100
fi
echo "ok   $next/gen is what buf generates"

mkdir "$tmp/prisma"
cp prisma/schema.prisma "$tmp/prisma"
node scripts/db.ts prisma generate --schema "$tmp/prisma/schema.prisma" --no-hints >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; exit 1; }
if ! diff -rq "$tmp/gen/prisma" gen/prisma; then
  echo 'FAIL gen/prisma is not what prisma generates: npm run generate' >&2
  exit 100
fi
echo 'ok   gen/prisma is what prisma generates'
