#!/usr/bin/env bash
# The gate of the contract. See docs/adr/0002-contract-gate.md.
set -euo pipefail

usage() {
  cat <<'HELP'
Checks that the contract in proto/ is sound and breaks no promise.

  scripts/buf-check.sh [--base REF | --against REF] [--only STEPS] [--json]

  --base REF      compare with the merge base of HEAD and REF (a branch, tag or commit). Default: the target branch of
                  a pull request where CI names one (GITHUB_BASE_REF)
  --against REF   compare with exactly this commit; all zeros (a new branch) means: as if not given
  --only STEPS    some of: lint,config,base,baseline,release,generated
  --json          findings on stdout, one JSON object {path,line,rule,message} a line; the rest on stderr

With neither, the work tree is compared with the commit before it: HEAD where proto/ or buf.yaml have uncommitted
changes, else HEAD~1.

  lint        buf lint, with the rules of buf.yaml
  config      buf.yaml judges no more mildly than in the base commit
  base        nothing that the base commit promised is broken, judged by that commit's buf.yaml
  baseline    nothing that the last release (proto/baseline.binpb) promised is broken
  release     proto/baseline.binpb itself breaks nothing that it promised in the base commit
  generated   gen/proto is what buf generates

Exit: 0 all good · 100 something found · 1 a check could not run (which is never a pass).
HELP
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PWD/node_modules/.bin:$PATH"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

baseline=proto/baseline.binpb
target=${GITHUB_BASE_REF:-${GITEA_BASE_REF:-}}
exact=''
steps=lint,config,base,baseline,release,generated
only=$steps
json=''
found=0
broken=0

# What a person reads; with --json, stdout is for machines.
say() {
  if [[ $json ]]; then echo "$*" >&2; else echo "$*"; fi
}

cannot() {
  say "FAIL this check could not run: $*"
  exit 1
}

# check <title> <command...>: runs a command that prints findings and exits with 0, or with 100 if it found something.
check() {
  local title=$1 rc=0
  shift
  "$@" >"$tmp/findings" 2>"$tmp/errors" || rc=$?
  if [[ $rc == 0 && ! -s $tmp/findings ]]; then
    say "ok   $title"
  elif [[ $rc == 100 && -s $tmp/findings ]]; then
    say "FAIL $title"
    node scripts/contract/print-findings.ts $json <"$tmp/findings"
    found=1
  else
    say "FAIL $title: could not run (exit $rc)"
    cat "$tmp/findings" "$tmp/errors" >&2
    broken=1
  fi
}

# step <name> <title> <command...>: the same, if --only has it.
step() {
  local name=$1
  shift
  if [[ ,$only, == *,$name,* ]]; then check "$@"; fi
}

finding() { # <path> <rule> <message without quotes>
  printf '{"path":"%s","line":1,"rule":"%s","message":"%s"}\n' "$@"
}

# The full id of a commit that is really here.
commit() {
  git rev-parse --verify --quiet --end-of-options "$1^{commit}"
}

# Sets `base` to the commit to compare with, or to nothing if there verifiably is none, and `base_is` to what it is.
find_base() {
  local head tip
  command -v git >/dev/null || cannot 'git is not installed'
  head=$(commit HEAD) || cannot 'no git repository with a commit here'
  [[ $(git rev-parse --is-shallow-repository) == false ]] ||
    cannot 'this clone is shallow; fetch the whole history (git fetch --unshallow; fetch-depth: 0)'

  if [[ $exact ]]; then
    base=$(commit "$exact") || cannot "there is no commit $exact here"
    base_is="commit ${base:0:12}"
  elif [[ $target ]]; then
    tip=$(commit "$target" || commit "origin/$target") || cannot "there is no $target here, nor an origin/$target"
    base=$(git merge-base HEAD "$tip") || cannot "HEAD and $target have no common history"
    base_is="merge base ${base:0:12} with $target"
  else
    base=$head
  fi

  # A commit compared with itself would always pass.
  if [[ $base == "$head" ]]; then
    if [[ $(git status --porcelain --untracked-files=all -- proto third_party buf.yaml) ]]; then
      base_is="HEAD (${base:0:12}), for the uncommitted changes"
    elif [[ $(git rev-list --parents --max-count=1 HEAD) == "$head" ]]; then
      base=''
      base_is='this is the first commit'
    else
      base=$(commit HEAD~1) || cannot 'the commit before HEAD is not here'
      base_is="the commit before, ${base:0:12}"
    fi
  fi
  [[ ! $base ]] || git cat-file -e "$base^{tree}" || cannot "the files of $base are not in this clone"
}

# Writes the base commit's contract to $tmp/base. Not with `git archive`, which leaves out what .gitattributes says.
unpack_base() {
  mkdir "$tmp/base"
  [[ $base ]] || return 0
  (
    export GIT_INDEX_FILE=$tmp/index
    git read-tree "$base" &&
      git ls-files -z -- proto third_party buf.yaml | git checkout-index -z --stdin --prefix="$tmp/base/"
  ) || cannot "the files of $base cannot be read"
}

check_compiles() {
  local rc=0
  buf build proto --error-format=json -o "$tmp/head.binpb" 2>"$tmp/build" || rc=$?
  # buf prints these findings on stderr.
  [[ $rc == 0 ]] || cat "$tmp/build"
  return $rc
}

same() { # <file> <file>: nothing to compare. A missing one is never the same.
  cmp -s "$1" "$2"
}

compare() { # <image before> <image after> <released image> <flags...>
  node scripts/contract-check.ts compare --before "$1" --after "$2" --released "$3" --config "$rules" "${@:4}"
}

check_config() {
  same "$rules/buf.yaml" buf.yaml || node scripts/contract-check.ts config --before "$rules" --after .
}

check_base() {
  (cd "$tmp/base" && buf build proto -o "$tmp/base.binpb") || return 1
  # What the base commit had not released yet may still be said in other words.
  local released=$tmp/base/$baseline
  [[ -e $released ]] || released=/dev/null
  same "$tmp/base.binpb" "$tmp/head.binpb" || compare "$tmp/base.binpb" "$tmp/head.binpb" "$released"
}

check_baseline() {
  if [[ -e $baseline ]]; then
    same "$baseline" "$tmp/head.binpb" || compare "$baseline" "$tmp/head.binpb" "$baseline"
  elif [[ -e $tmp/base/$baseline ]]; then
    finding "$baseline" OO_BASELINE_SHRUNK 'the last release is gone'
    return 100
  else
    echo "there is no $baseline; make the first release with: npm run contract:release" >&2
    return 1
  fi
}

check_release() {
  local old=$tmp/base/$baseline
  if [[ ! -e $old || ! -e $baseline ]] || same "$old" "$baseline"; then return 0; fi
  compare "$old" "$baseline" "$old" --blame "$baseline"
}

check_generated() {
  local path rc=0 fresh=$tmp/fresh/gen/proto
  buf generate -o "$tmp/fresh" && [[ -d $fresh ]] || return 1
  mkdir -p "$tmp/committed"
  if [[ -d gen/proto ]]; then cp -R gen/proto/. "$tmp/committed"; fi
  (cd "$tmp/committed" && find . -type f && cd "$fresh" && find . -type f) | sort -u >"$tmp/files" || return 1
  while read -r path; do
    path=${path#./}
    same "$tmp/committed/$path" "$fresh/$path" && continue
    finding "gen/proto/$path" OO_GENERATED_STALE 'is not what buf generates; run scripts/generate.sh'
    rc=100
  done <"$tmp/files"
  return $rc
}

while [[ $# -gt 0 ]]; do
  case $1 in
    --base) target=${2:?--base needs a REF} exact='' && shift ;;
    --against) exact=${2?--against needs a REF} && shift ;;
    --only) only=${2:?--only needs STEPS} && shift ;;
    --json) json=--json ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 1 ;;
  esac
  shift
done
[[ ! $exact =~ ^0*$ ]] || exact=''
for name in ${only//,/ }; do
  [[ ,$steps, == *,$name,* ]] || cannot "there is no step $name"
done

base_is=''
if [[ ,$only, =~ ,(config|base|release), ]]; then
  find_base
  unpack_base
fi

check 'proto compiles' check_compiles
[[ $found$broken == 00 ]] || exit $((found ? 100 : 1))
step lint 'lint' buf lint --error-format=json

rules=.
if [[ -d $tmp/base/proto ]]; then
  rules=$tmp/base
  if [[ ! -e $rules/buf.yaml ]]; then
    say "ok   no buf.yaml in $base_is: the present one applies"
    cp -R buf.yaml third_party "$rules"
  fi
  step config 'buf.yaml is no milder' check_config
  step base "nothing broken since $base_is" check_base
elif [[ $base_is ]]; then
  say "ok   nothing to compare with: ${base:+no proto/ in }$base_is"
fi
step baseline 'nothing broken since the last release' check_baseline
step release 'the released contract only grows' check_release
step generated 'gen/proto is fresh' check_generated

[[ $broken == 0 ]] || exit 1
[[ $found == 0 ]] || exit 100
