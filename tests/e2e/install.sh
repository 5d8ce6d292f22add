#!/usr/bin/env bash
# Brings up the cluster, builds the images and installs the chart. Where everything is up already, changes nothing.
#
# With KUBECONFIG or PAYPLANE_CONTEXT set by the user, that cluster is used and none is made; the images must then be
# where its nodes find them: PAYPLANE_LOAD=kind:NAME or k3d:NAME says how (see tests/e2e/cluster/README.md).
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
cd "$ROOT"

need_rust

# Compilers leave a core idle now and then, so the programs are compiled beside the cluster's tools.
cargo build --release --locked --quiet --package payplane-engine --package payplane-operator &
"$CLUSTER/up.sh"
"$CLUSTER/build-tools.sh" helm
wait $!
"$CLUSTER/images.sh" ${PAYPLANE_LOAD:+--load "$PAYPLANE_LOAD"} --quiet engine operator postgres redis kafka toolbox
use_cluster
use_images

kubectl apply -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Namespace
metadata:
  name: payplane-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
YAML
say "installing the chart"
# The CRDs may be there already, from `kubectl apply -f crds/` or a test.
helm upgrade --install payplane charts/payplane --namespace payplane-system --take-ownership --wait --timeout 5m \
  --set "image.repository=${OPERATOR_IMAGE%:*}" --set "image.tag=${OPERATOR_IMAGE##*:}" \
  --set "engine.image=$ENGINE_IMAGE" --set "postgres.image=$POSTGRES_IMAGE" \
  --set "kafka.image=$KAFKA_IMAGE" --set "redis.image=$REDIS_IMAGE" >/dev/null
