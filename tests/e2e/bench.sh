#!/usr/bin/env bash
# `make bench-operator`: what ten thousand Payments and a thousand Tenants cost the operator and the API server, beside a raw
# client, in one run of less than 25 minutes. Starts all that it needs on loopback; the variables that choose less are explained in docs/performance.md, which it writes.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
cd "$ROOT"
need_rust
need_postgres
"$CLUSTER/build-tools.sh"
cargo build --release --locked --package payplane-engine --bin payplane-engine
exec cargo bench --locked --package payplane-operator --bench scale
