#!/usr/bin/env bash
# Generates gen/proto from proto/ and third_party/, as buf.gen.yaml says.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The plugin asks the PATH for its node.
PATH="$PWD/node_modules/.bin:$PATH"
buf generate
