#!/usr/bin/env bash
# `make bench`: payments per second over gRPC beside pgbench and beside raw batches without an engine, alternating in one
# run of about 25 minutes. Writes docs/performance.md and docs/performance.svg, where the variables that choose less or
# more are explained.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"
need_rust
need_postgres
exec cargo bench --locked --package payplane-engine --bench payments
