#!/usr/bin/env bash
# `make test`: every test of the project, in stages from cheap to dear. A stage that fails does not stop the others.
#
# The cluster comes up in the background, mostly waiting, while everything is compiled; the compilers yield to it.
#
# Output of each stage goes to target/test-logs/<stage>.log; its end is shown when the stage fails. The last lines say
# where the time went, what failed and how many tests passed.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1
LOGS=${CARGO_TARGET_DIR:-target}/test-logs
mkdir -p "$LOGS"

times=() failures=()

# Adds up what the runners in a log say: cargo's "test result:" lines and our scripts' "N passed, N failed".
count() { # LOG
  awk '/^test result:/ { p += $4; f += $6 }
       /^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3 }
       END { print p + 0, f + 0 }' "$1"
}

# What failed by a log, with numbers of its lines: errors, the tests' names, and the first line of what each panic says. A test
# that panics on purpose is among them when another one of its stage has failed.
failed_in() { # LOG
  awk '/^failures:$/ { listed = 1; next }
       listed && /^    [^ ]+$/ { print NR ": " $1 }
       /^[^ ]/ { listed = 0 }
       /^(FAILED |error)/ { print NR ": " $0 }
       said { print said, substr($0, 1, 300); said = "" }
       /thread .* panicked at / { said = NR ": " $0 }' "$1" | tail -n 40
}

# run_logged NAME COMMAND...: leaves its output, its exit status and how long it took in the logs.
run_logged() {
  local name=$1 begin=$SECONDS status=0
  shift
  "$@" >"$LOGS/$name.log" 2>&1 </dev/null || status=$?
  echo "$status $((SECONDS - begin))" >"$LOGS/$name.result"
}

# told NAME [REMARK]: counts and shows what became of a stage that has ended.
told() {
  local name=$1 log=$LOGS/$1.log status took p f lines
  read -r status took <"$LOGS/$name.result"
  read -r p f < <(count "$log")
  # A stage that broke before a test could fail still counts as one failure.
  if [ "$status" != 0 ] && [ "$f" = 0 ]; then f=1; fi
  passed=$((passed + p)) failed=$((failed + f))
  times+=("$(printf '%6ds  %-12s %4d passed, %d failed%s' "$took" "$name" "$p" "$f" "${2:+  ($2)}")")
  [ "$status" = 0 ] && return
  mapfile -t lines < <(failed_in "$log")
  failures+=("$name, exit $status" "${lines[@]/#/  }")
  say "--- $name failed (exit $status), the end of $log:"
  tail -n 60 "$log" >&2
}

stage() { # NAME COMMAND...
  say "==> $1"
  run_logged "$@"
  told "$1"
}

# stage_beside BACKGROUND STAGE COMMAND...: runs the stage, and meanwhile the function BACKGROUND as a stage of its own. Ends
# when both have.
stage_beside() {
  local background=$1 id
  say "==> $background, in the background"
  run_logged "$background" "$background" &
  id=$!
  shift
  stage "$@"
  wait "$id"
  told "$background" "beside $1"
}

# Tests of some packages. All of the workspace is always built together: what two packages share has one set of features
# then, and is compiled once.
tests_of() { # "PACKAGE..." [ARGUMENT...]
  local packages=$1
  shift
  PAYPLANE_PACKAGES=$packages cargo test --locked --workspace --no-fail-fast \
    --config "target.'cfg(unix)'.runner=['$ROOT/tests/only.sh']" "$@"
}

# Everything that is compiled: the tests, and the programs for the images.
build() {
  nice cargo test --locked --workspace --no-run &&
    nice cargo build --locked --release --package payplane-engine --package payplane-operator
}

unit() {
  tests_of "payplane-ledger payplane-billing payplane-proto payplane-crds" &&
    cargo test --locked --workspace --test tidy
}

# CloudNativePG and the Redis operator are for the last tests of all, but compiled here, where compilers work anyway. PostgreSQL
# of the next Debian is for the tests of major upgrades.
cluster() {
  "$CLUSTER/up.sh" && "$CLUSTER/selftest.sh" && "$CLUSTER/images.sh" --quiet cloudnative-pg redis-operator postgres-barman \
    postgres-next
}

# The model wants another build of the engine's library, and of nothing that it stands on.
engine() {
  tests_of payplane-engine &&
    cargo test --locked --workspace --features payplane-engine/model --lib queue::model
}

# The tests of faults start the engine as a process, which was built with the engine's own tests. They wait more than they
# work, and those on the cluster's API server do nothing else.
operator() {
  local status=0
  use_cluster
  "$ROOT/tests/foreign/crds.sh" || return 1
  tests_of payplane-operator --lib --test faults || status=$?
  cargo test --locked --workspace --test operator -- --test-threads=8 || status=$?
  return $status
}

# Those that kill pods of the shared platform, change its ledger or upgrade the chart run alone, the others side by side:
# they spend their time waiting. Major upgrades have the node for themselves, which has no room for two ledgers more. Those with
# the operators of others come last: the rest expect a cluster without them.
e2e() {
  local alone=(kills crash is_away restarts_nothing a_copy_counts) run=(cargo test --locked --workspace --test e2e)
  use_cluster
  use_images
  "${run[@]}" -- --nocapture --test-threads=1 "${alone[@]}" &&
    "${run[@]}" -- --nocapture --test-threads=4 --skip=cloudnative_pg --skip=redis_operator --skip=upgrades \
      "${alone[@]/#/--skip=}" &&
    "${run[@]}" -- --nocapture --test-threads=2 upgrades &&
    "$ROOT/tests/foreign/redis-operator.sh" &&
    "$ROOT/tests/foreign/cloudnative-pg.sh"
}

need_rust
need_postgres
need_faketime
need_kafka
need_redis
need_s3
need_package jq jq "turns objects into a file that can be applied again, as docs/backups.md has it"
need_package mvn maven "fetches the jars of the Kafka image"
stage lint "$ROOT/tests/lint.sh"
stage_beside cluster build build
stage unit unit
stage engine engine
stage chart "$ROOT/tests/chart.sh"
stage demo "$ROOT/tests/demo.sh"
stage operator operator
stage e2e e2e

say ""
say "Where the time went:"
printf '%s\n' "${times[@]}" >&2
if [ ${#failures[@]} != 0 ]; then
  say ""
  say "What failed:"
  printf '  %s\n' "${failures[@]}" >&2
fi
verdict
