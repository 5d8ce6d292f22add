#!/usr/bin/env bash
# `make prove`: the tests that prove money, at full size, and their report in docs/proof.md.
#
# What `make test` runs in seconds runs here for as long as the sizes below ask for: hours. The report is written only if all
# of it passed; it says on which commit and what each test printed about itself. What passed with the same sources is not run
# again, so a run that was broken off goes on where it was.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"
need_rust
need_postgres
need_faketime
need_kafka
"$CLUSTER/build-tools.sh"
need_redis
need_s3

HISTORIES=${PAYPLANE_PROPTEST_CASES:-20000}
SEEDS=${PAYPLANE_SIM_SEEDS:-2000}
LOGS=${CARGO_TARGET_DIR:-target}/prove-logs
REPORT=docs/proof.md
mkdir -p "$LOGS"
git diff --quiet HEAD || die "commit first: the report names the commit that it describes"
COMMIT=$(git rev-parse HEAD)

# What tests of the engine are made of, and those of the operator, which start an engine.
ENGINE=(engine proto Cargo.toml Cargo.lock rust-toolchain.toml tests/lib.sh tests/e2e/cluster)
OPERATOR=("${ENGINE[@]}" operator crds charts examples)

prove() { # NAME VARIABLE COMMAND...
  local name=$1 setting=$2 begin=$SECONDS passed
  local -a sources=("${ENGINE[@]}")
  shift 2
  [ "$name" != faults ] || sources=("${OPERATOR[@]}")
  passed="$(git rev-parse "${sources[@]/#/HEAD:}" | sha256sum) $setting"
  say "==> $name ($setting)"
  if [ "$(cat "$LOGS/$name.passed" 2>/dev/null)" = "$passed" ]; then
    say "    passed before"
    return
  fi
  rm -f "$LOGS/$name.passed"
  # Behind "--" stand names of tests.
  [[ " $* " == *' -- '* ]] || set -- "$@" --
  env "$setting" "$@" --nocapture >"$LOGS/$name.log" 2>&1 </dev/null ||
    { tail -n 40 "$LOGS/$name.log" >&2; die "$name failed, see $LOGS/$name.log"; }
  echo "$passed" >"$LOGS/$name.passed"
  say "    $((SECONDS - begin)) s"
}

section() { # NAME TITLE
  printf '\n## %s\n\n```\n' "$2"
  # What tests say about themselves, without cargo's own words, kubectl's and times.
  grep -vE '^ *(Compiling|Finished|Running|Blocking|Fresh|warning)|^running [0-9]+|^$|Doc-tests' "$LOGS/$1.log" |
    grep -vE '^(Warning: resource|Error from server)|has been running for over' |
    sed -E 's/; finished in .*//' | grep -v '0 passed; 0 failed'
  printf '```\n'
}

prove rules "PAYPLANE_PROPTEST_CASES=$HISTORIES" cargo test --locked --package payplane-ledger
prove splits PAYPLANE_PROVE=1 cargo test --locked --package payplane-ledger --test split
prove billing PAYPLANE_PROVE=1 cargo test --locked --package payplane-billing
prove parsers PAYPLANE_PROVE=1 cargo test --locked --package payplane-ledger --package payplane-engine --lib --test parsers
prove simulation "PAYPLANE_SIM_SEEDS=$SEEDS" cargo test --locked --package payplane-engine --test simulation
prove schedules PAYPLANE_PROVE=1 cargo test --locked --package payplane-engine --features model --lib queue::model
prove verify PAYPLANE_PROVE=1 cargo test --locked --package payplane-engine --test engine -- verify::
prove attacks PAYPLANE_PROVE=1 cargo test --locked --package payplane-engine --test engine -- posture:: attacks::
prove races PAYPLANE_PROVE=1 cargo test --locked --package payplane-engine --test engine -- commit:: races::
prove storms PAYPLANE_PROVE=1 cargo test --locked --package payplane-engine --test engine -- crash:: storms::
prove events PAYPLANE_PROVE=1 cargo test --locked --package payplane-engine --test engine -- events:: --skip races::
cargo build --locked --package payplane-engine --bin payplane-engine
prove faults PAYPLANE_PROVE=1 cargo test --locked --package payplane-operator --test faults
prove clocks PAYPLANE_PROVE=1 cargo test --locked --package payplane-engine --test engine -- clocks::

{
  cat <<INTRO
# Proof

What the tests of money printed about themselves at full size: \`make prove\` on $(date -u +%F), commit
\`${COMMIT:0:12}\`, $HISTORIES histories and $SEEDS seeds. How each of them can fail is shown by \`make mutants\`.
INTRO
  section rules "The rule book against an independent model"
  section splits "Splits of amounts"
  section billing "Invoices and splits against what must hold of each"
  section parsers "Readers of foreign input"
  section simulation "The committing code under faults, and the stand-in against PostgreSQL"
  section schedules "Every schedule of producers and committers around the queue"
  section verify "What verify finds"
  section attacks "What the database refuses the engine's own login"
  section races "Two engines that want the same"
  section storms "Lost answers, killed engines and servers, callers who go away"
  section events "Events through Kafka: brokers and publishers that are killed, ten minutes without a broker"
  section faults "The operator killed, cut off, lied to and doubled"
  section clocks "Clocks that are wrong"
} >"$REPORT"
say "wrote $REPORT"
