#!/usr/bin/env bash
# Runs one of the engine's benchmarks, which write into docs/performance.md; that explains the variables that choose less
# or more.
#
# `make bench` (payments): payments per second over gRPC beside pgbench and beside raw batches without an engine,
# alternating in one run of about half an hour. `make bench-columns` (columns): what columns, ids and indexes cost.
# `make bench-billing` (billing): usage of others beside a plain COPY, and payments while periods are closed, one after the
# other and ten thousand at once. `make bench-backups` (backups): copies and the stored log, and a restore.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"
need_rust
need_postgres
exec cargo bench --locked --package payplane-engine --bench "$1"
