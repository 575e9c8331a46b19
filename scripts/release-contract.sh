#!/usr/bin/env bash
# Releases the contract: from now on scripts/buf-check.sh also compares with proto/ as it is at this moment
# (proto/baseline.binpb, to be committed). Refuses if that breaks the release before.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PWD/node_modules/.bin:$PATH"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
baseline=proto/baseline.binpb

buf lint
# With source info: comments are part of what is released.
buf build proto -o "$tmp/image.binpb"
if [[ -e $baseline ]]; then
  rc=0
  node scripts/contract-check.ts compare --before "$baseline" --after "$tmp/image.binpb" --released "$baseline" \
    --config . >"$tmp/findings" || rc=$?
  node scripts/contract/print-findings.ts <"$tmp/findings"
  [[ $rc == 0 ]] || exit $rc
fi
cp "$tmp/image.binpb" "$baseline"
echo "$baseline now holds the contract as it is in proto/: commit it"
