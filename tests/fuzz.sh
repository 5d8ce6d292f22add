#!/usr/bin/env bash
# `make fuzz`: holds the readers of foreign input (engine/fuzz) to inputs that libFuzzer chooses by what they reach in the
# code, each for PAYPLANE_FUZZ_SECONDS (60). What it finds stays in target/fuzz for the next run; an input that breaks a
# law, or takes half a minute, ends the run and is shown.
#
# cargo-fuzz wants flags of an unstable compiler; RUSTC_BOOTSTRAP allows them to the pinned one. Without a sanitizer,
# which nothing here needs: the workspace forbids unsafe code.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT/engine"
need_rust
need_package c++ g++ "compiles libFuzzer"
if ! command -v cargo-fuzz >/dev/null; then
  say "installing cargo-fuzz: drives libFuzzer"
  cargo install --locked --quiet --root "$CACHE" cargo-fuzz
fi
export PATH=$CACHE/bin:$PATH RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$ROOT/target/fuzz/build
for target in requests fields tokens rows; do
  corpus=$ROOT/target/fuzz/corpus/$target
  mkdir -p "$corpus"
  say "==> $target, ${PAYPLANE_FUZZ_SECONDS:-60} s"
  cargo fuzz run --sanitizer none "$target" "$corpus" -- \
    -max_total_time="${PAYPLANE_FUZZ_SECONDS:-60}" -timeout=30 -max_len=4096 -print_final_stats=1 -verbosity=0 >&2
done
