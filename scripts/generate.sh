#!/usr/bin/env bash
# Generates gen/proto from proto/ and third_party/, as buf.gen.yaml says, and the code of the version to test with.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The plugin asks the PATH for its node.
PATH="$PWD/node_modules/.bin:$PATH"
buf generate
next=tests/evolution
if [[ -d $next ]]; then buf generate $next/proto --config $next/buf.yaml --template $next/buf.gen.yaml; fi
