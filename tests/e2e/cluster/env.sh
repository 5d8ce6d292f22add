# Source this file to use the local cluster from a shell: kubectl, helm and grpcurl of the pinned versions come first on
# PATH, and KUBECONFIG points at the cluster.
# shellcheck shell=bash
PATH=${PAYPLANE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/payplane}/bin:$PATH
KUBECONFIG=${PAYPLANE_STATE:-/var/lib/payplane-cluster}/admin.conf
export PATH KUBECONFIG
