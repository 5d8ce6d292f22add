#!/usr/bin/env bash
# `make test`: every test of the project, in stages from cheap to dear. A stage that fails does not stop the others.
#
# Output of each stage goes to target/test-logs/<stage>.log; its end is shown when the stage fails. The last lines say
# where the time went and how many tests passed.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1
LOGS=${CARGO_TARGET_DIR:-target}/test-logs
mkdir -p "$LOGS"

times=()

# Adds up what the runners in a log say: cargo's "test result:" lines and our scripts' "N passed, N failed".
count() { # LOG
  awk '/^test result:/ { p += $4; f += $6 }
       /^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3 }
       END { print p + 0, f + 0 }' "$1"
}

stage() { # NAME COMMAND...
  local name=$1 log=$LOGS/$1.log begin=$SECONDS status=0 p f
  shift
  say "==> $name"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  read -r p f < <(count "$log")
  # A stage that broke before a test could fail still counts as one failure.
  if [ "$status" != 0 ] && [ "$f" = 0 ]; then f=1; fi
  passed=$((passed + p)) failed=$((failed + f))
  times+=("$(printf '%6ds  %-12s %4d passed, %d failed' $((SECONDS - begin)) "$name" "$p" "$f")")
  [ "$status" = 0 ] && return
  say "--- $name failed (exit $status), the end of $log:"
  grep -nE '^(test .*FAILED|FAILED|error|---- .* stdout|thread .* panicked)' "$log" | tail -n 40 >&2
  tail -n 60 "$log" >&2
}

unit() {
  cargo test --locked --no-fail-fast --package payplane-ledger --package payplane-billing --package payplane-proto --package payplane-crds &&
    cargo test --locked --package payplane-e2e --test tidy
}

cluster() {
  "$CLUSTER/up.sh" && "$CLUSTER/selftest.sh"
}

engine() {
  cargo test --locked --no-fail-fast --package payplane-engine &&
    cargo test --locked --package payplane-engine --features model --lib queue::model
}

operator() {
  use_cluster
  # The tests of faults start the engine as a process. They wait more than they work.
  cargo build --locked --package payplane-engine --bin payplane-engine &&
    cargo test --locked --no-fail-fast --package payplane-operator
}

# Those that kill pods of the shared platform, change its ledger or upgrade the chart run alone, the others side by side:
# they spend their time waiting.
e2e() {
  local alone=(kills crash is_away restarts_nothing a_copy_counts) run=(cargo test --locked --package payplane-e2e --test e2e)
  use_cluster
  use_images
  "${run[@]}" -- --nocapture --test-threads=1 "${alone[@]}" &&
    "${run[@]}" -- --nocapture --test-threads=4 "${alone[@]/#/--skip=}"
}

need_rust
need_postgres
need_faketime
need_kafka
need_redis
need_package mvn maven "fetches the jars of the Kafka image"
stage lint "$ROOT/tests/lint.sh"
stage unit unit
stage engine engine
stage cluster cluster
stage chart "$ROOT/tests/chart.sh"
stage demo "$ROOT/tests/demo.sh"
stage operator operator
stage e2e e2e

say ""
say "Where the time went:"
printf '%s\n' "${times[@]}" >&2
verdict
