#!/usr/bin/env bash
# The chart: lints, refuses wrong values, renders, and what it renders is accepted by a real API server. Needs the
# cluster. Ends with the counts.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1
use_cluster
"$CLUSTER/build-tools.sh" helm || exit 1

render() { helm template payplane charts/payplane --namespace payplane-system "$@"; }

refuses() { # FIELD --set...
  local field=$1 message
  shift
  message=$(render "$@" 2>&1 >/dev/null) && return 1
  [[ $message == *"$field"* ]] || { say "$message"; return 1; }
}

# Hooks are left out: helm makes them itself, one at a time. The namespace must exist for a server-side dry run. It is the
# default of a copy of the configuration, because -n would refuse what says another one.
accepted_by_the_server() {
  local config status=0
  kubectl create namespace payplane-system --dry-run=client -o yaml | kubectl apply -f - >/dev/null
  config=$(mktemp) && kubectl config view --raw --flatten --minify >"$config"
  kubectl --kubeconfig "$config" config set-context --current --namespace payplane-system >/dev/null
  render --no-hooks "$@" | kubectl --kubeconfig "$config" apply --dry-run=server -f - >/dev/null || status=$?
  rm "$config"
  return $status
}

renders_the_same_twice() {
  local first
  first=$(render) && [ -n "$first" ] && [ "$first" = "$(render)" ]
}
crds_are_kept() { [ "$(render | grep -c 'helm.sh/resource-policy: keep')" = "$(find crds -name '*.yaml' | wc -l)" ]; }
crds_can_be_left_out() {
  local rendered
  rendered=$(render --set crds.install=false) && [[ $rendered != *"kind: CustomResourceDefinition"* ]]
}
no_pod_may_write_its_root() {
  local rendered
  rendered=$(render)
  [[ $rendered == *"readOnlyRootFilesystem: true"* && $rendered != *"readOnlyRootFilesystem: false"* ]]
}
metrics_api_is_there_when_it_is_asked_for() {
  local with without
  with=$(render --set metricsApi.enabled=true) without=$(render)
  [[ $with == *apiregistration.k8s.io* && $with == *metrics-api-address* ]] || return 1
  [[ $without != *apiregistration.k8s.io* && $without != *metrics-api* && $without != *kube-system* ]]
}
the_api_of_another_server_is_left_to_it() {
  local both one
  both=$(render --set metricsApi.enabled=true) one=$(render --set metricsApi.enabled=true --set 'metricsApi.apis={custom}')
  [ "$(grep -c '^kind: APIService$' <<<"$both")" = 2 ] || return 1
  [ "$(grep -A2 '^kind: APIService$' <<<"$one" | grep -c 'name: v1beta2.custom.metrics.k8s.io$')" = 1 ] || return 1
  [ "$(grep -c '^kind: APIService$' <<<"$one")" = 1 ]
}
# In each of the two: a Role, its binding, and the ServiceAccount of Backups, which its ClusterRoleBinding names.
roles_only_in_platform_namespaces() {
  [ "$(render --set 'platformNamespaces={pay-a,pay-b}' | grep -cE 'namespace: "?pay-[ab]"?$')" = 8 ]
}

check "lint" helm lint --strict charts/payplane
check "refuses a text for replicas" refuses replicas --set replicas=many
check "refuses an unknown value" refuses nonsense --set nonsense=1
check "refuses an unknown log format" refuses format --set log.format=xml
check "refuses a bad namespace" refuses platformNamespaces --set 'platformNamespaces={Not_A_Name}'
check "renders the same twice" renders_the_same_twice
check "keeps CRDs on uninstall" crds_are_kept
check "can leave CRDs out" crds_can_be_left_out
check "has the metrics API when asked" metrics_api_is_there_when_it_is_asked_for
check "read-only root file systems" no_pod_may_write_its_root
check "the API of another server is left to it" the_api_of_another_server_is_left_to_it
check "refuses an unknown API of metrics" refuses metricsApi --set 'metricsApi.apis={resource}'
check "Secrets only in platform namespaces" roles_only_in_platform_namespaces
check "accepted by the API server" accepted_by_the_server
check "accepted with one replica, no policies and the metrics API" accepted_by_the_server --set replicas=1 \
  --set settlementPolicy.enabled=false --set approvalPolicy.enabled=false --set metricsApi.enabled=true
verdict
