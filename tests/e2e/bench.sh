#!/usr/bin/env bash
# `make bench-operator`: installs the platform where it is missing, then measures.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
cd "$ROOT"
tests/e2e/install.sh
use_cluster
exec cargo bench --locked --package payplane-e2e --bench latency
