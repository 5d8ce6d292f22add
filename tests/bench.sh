#!/usr/bin/env bash
# `make bench`: payments per second over gRPC beside pgbench with the same work, alternating in one run.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"
need_rust
need_postgres
exec cargo bench --locked --package payplane-engine --bench payments
