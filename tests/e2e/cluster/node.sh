#!/usr/bin/env bash
# Runs a command inside the node: its processes, mounts and network. Without arguments, a shell.
#
# node.sh ps ax | node.sh iptables-save | node.sh ctr tasks ls (ctr is pointed at the cluster's containerd)
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_root "entering the node"
[ $# -gt 0 ] || set -- bash
export CONTAINERD_ADDRESS=$CONTAINERD_SOCKET CONTAINERD_NAMESPACE=k8s.io
in_node "$@"
