#!/usr/bin/env bash
# `make mutants`: shows that tests can fail. Each tests/mutants/NAME.patch breaks one rule on purpose; the command in its
# first line, after "# red: ", must then fail with a failing test. Takes names, or runs all.
#
# Works in a copy of the committed tree. A patch whose command needs the cluster installs the broken program there and
# puts the good one back afterwards.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT/tests/mutants" || exit 1
need_rust
need_postgres
need_faketime
need_kafka
need_redis
need_s3

WORK=$ROOT/target/mutants
export CARGO_TARGET_DIR=$WORK/build
mkdir -p "$WORK"
rm -rf "$WORK/tree"
git worktree prune
git worktree add --quiet --detach "$WORK/tree" HEAD || exit 1
trap 'git worktree remove --force "$WORK/tree"' EXIT

goes_red() { # NAME
  local patch=$ROOT/tests/mutants/$1.patch log=$WORK/$1.log command
  command=$(sed -n '1s/^# red: //p' "$patch")
  [ -n "$command" ] || die "$patch does not say which command turns red"
  git -C "$WORK/tree" checkout --quiet --force HEAD
  git -C "$WORK/tree" apply "$patch" || return 1
  say "$1: $command"
  (cd "$WORK/tree" && bash -c "$command") >"$log" 2>&1 </dev/null
  # A failure to compile or to install proves nothing.
  grep -q '^test result: FAILED' "$log" || { tail -n 20 "$log" >&2; return 1; }
}

names=("$@")
if [ $# = 0 ]; then mapfile -t names < <(basename -s .patch ./*.patch); fi
for name in "${names[@]}"; do check "$name goes red" goes_red "$name"; done
if grep -q 'red: .*install.sh' "${names[@]/%/.patch}"; then
  say "putting the good programs back"
  CARGO_TARGET_DIR=$ROOT/target "$ROOT/tests/e2e/install.sh"
fi
verdict
