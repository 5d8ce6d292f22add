#!/usr/bin/env bash
# A Platform on a real CloudNativePG: its controller is built from its Go module and installed from the module's own manifests,
# the Platform's Cluster has three servers, and its primary is killed while payments run. Brings up the local cluster with
# Payplane first. Not part of `make test`: it would take minutes of it.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
cd "$ROOT"
# shellcheck source=../e2e/cluster/versions.env
. "$CLUSTER/versions.env"

"$ROOT/tests/e2e/install.sh"
"$CLUSTER/images.sh" --quiet cloudnative-pg
use_cluster
use_images

module=$(cd "${TMPDIR:-/tmp}" && timeout 600 go mod download -json \
  "github.com/cloudnative-pg/cloudnative-pg@v$CLOUDNATIVE_PG_VERSION" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
[ -d "$module" ] || die "the module of CloudNativePG was not fetched"
say "installing CloudNativePG $CLOUDNATIVE_PG_VERSION"
kubectl kustomize "$module/config/default" | sed "s|controller:latest|$CLOUDNATIVE_PG_IMAGE|" |
  kubectl apply --server-side --force-conflicts -f - >/dev/null
kubectl wait deployment --namespace cnpg-system --selector app.kubernetes.io/name=cloudnative-pg \
  --for condition=Available --timeout 180s

cargo test --locked --package payplane-e2e --test operators -- --nocapture
