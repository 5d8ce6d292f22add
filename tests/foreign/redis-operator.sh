#!/usr/bin/env bash
# A Platform whose Redis the Redis operator of Opstree runs: the controller is built from its Go module and installed by the
# module's own chart. Its primary is killed while payments run. Brings up the local cluster with Payplane first, and takes the
# Redis operator away again: other tests expect a cluster without it.
#
# PAYPLANE_KEEP=1 leaves it there when the test has failed.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
cd "$ROOT"

NAMESPACE=redis-operator-system
CRDS=redis.redis.opstreelabs.in

"$ROOT/tests/e2e/install.sh"
"$CLUSTER/images.sh" ${PAYPLANE_LOAD:+--load "$PAYPLANE_LOAD"} --quiet redis-operator
use_cluster
use_images
module=$(module redis-operator)

# shellcheck disable=SC2317  # called by the trap
leave() {
  local status=$?
  if [ "$status" != 0 ]; then
    kubectl get redisreplications.$CRDS,pods --all-namespaces >&2 || true
    kubectl logs --namespace "$NAMESPACE" deployment/redis-operator --tail 40 >&2 || true
    [ -z "${PAYPLANE_KEEP:-}" ] || exit "$status"
  fi
  kubectl delete platform cached --namespace payplane-system --ignore-not-found --timeout 60s >/dev/null || true
  # While the operator is there, it lets go of what it has marked.
  kubectl delete redisreplications.$CRDS --all --namespace payplane-system --timeout 60s >/dev/null || true
  helm uninstall redis-operator --namespace "$NAMESPACE" --ignore-not-found --wait >/dev/null
  kubectl delete --filename "$module/charts/redis-operator/crds" --ignore-not-found --timeout 60s >/dev/null
  kubectl delete namespace "$NAMESPACE" --ignore-not-found --timeout 60s >/dev/null
  exit "$status"
}
trap leave EXIT

say "installing the Redis operator from $(basename "$module")"
# No registry is asked for the image; a server that writes no settings by itself has them written by the controller's program.
helm upgrade redis-operator "$module/charts/redis-operator" --install --namespace "$NAMESPACE" --create-namespace \
  --set redisOperator.imageName="${REDIS_OPERATOR_IMAGE%:*}" --set redisOperator.imageTag="${REDIS_OPERATOR_IMAGE##*:}" \
  --set redisOperator.initContainerImageTag="${REDIS_OPERATOR_IMAGE##*:}" --set redisOperator.imagePullPolicy=IfNotPresent \
  --set featureGates.GenerateConfigInInitContainer=true --set resources.requests.cpu=50m --wait --timeout 120s >/dev/null
cargo test --locked --workspace --test e2e -- --nocapture redis_operator
