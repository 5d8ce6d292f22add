#!/usr/bin/env bash
# Platforms on a real CloudNativePG: its controller is built from its Go module and installed from the module's own manifest.
# One has three servers, and primaries are lost while payments run; another one is backed up into a bucket and restored beside.
# Brings up the local cluster with Payplane first, and takes CloudNativePG away again: other tests expect a cluster without it.
#
# PAYPLANE_KEEP=1 leaves it there when the test has failed.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
cd "$ROOT"
# shellcheck source=../e2e/cluster/versions.env
. "$CLUSTER/versions.env"

need_s3
"$ROOT/tests/e2e/install.sh"
"$CLUSTER/images.sh" ${PAYPLANE_LOAD:+--load "$PAYPLANE_LOAD"} --quiet cloudnative-pg postgres-barman
use_cluster
use_images

module=$(module cloudnative-pg)

# As released, but for the image: no registry is asked for it.
manifest() {
  sed -e "s|[^ ]*/cloudnative-pg:$CLOUDNATIVE_PG_VERSION\$|$CLOUDNATIVE_PG_IMAGE|" -e 's/imagePullPolicy: Always/imagePullPolicy: IfNotPresent/' \
    "$module/releases/cnpg-$CLOUDNATIVE_PG_VERSION.yaml"
}

# shellcheck disable=SC2317  # called by the trap
leave() {
  local status=$?
  if [ "$status" != 0 ]; then
    kubectl get clusters.postgresql.cnpg.io,pods --all-namespaces >&2 || true
    kubectl logs --namespace cnpg-system deployment/cnpg-controller-manager --tail 40 >&2 || true
    [ -z "${PAYPLANE_KEEP:-}" ] || exit "$status"
  fi
  # What a test that failed has left would wait for its database for ever.
  kubectl delete platform production barman barman-back --namespace payplane-system --ignore-not-found --timeout 60s >/dev/null || true
  manifest | kubectl delete --ignore-not-found --timeout 120s -f - >/dev/null
  exit "$status"
}
trap leave EXIT

say "installing CloudNativePG $CLOUDNATIVE_PG_VERSION"
manifest | kubectl apply --server-side --force-conflicts -f - >/dev/null
kubectl wait deployment --namespace cnpg-system cnpg-controller-manager --for condition=Available --timeout 180s >/dev/null
# One after the other: each wants several servers of its own.
cargo test --locked --workspace --test e2e -- --nocapture --test-threads=1 cloudnative_pg
