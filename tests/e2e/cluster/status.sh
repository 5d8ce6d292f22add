#!/usr/bin/env bash
# Shows whether the local cluster runs and how it is. Exit status 0: usable; 1: not running or not healthy.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if foreign_cluster; then
  say "$(foreign_reason): showing that cluster"
  exec kubectl ${PAYPLANE_CONTEXT:+--context "$PAYPLANE_CONTEXT"} get nodes -o wide
fi
if ! pid=$(init_pid); then
  if [ -e "$STATE" ]; then say "not running, but $STATE is left over; up.sh or down.sh removes it"
  else say "not running"; fi
  exit 1
fi
say "node: process $pid, state $STATE ($(du -sh --one-file-system "$STATE" | cut -f1)), cache $CACHE"
bad=0
for program in containerd etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy netpol forward; do
  restarts=$(grep -c '^\[node\] .* starting it again$' "$STATE/log/$program.log" 2>/dev/null || true)
  if [ "${restarts:-0}" -gt 0 ]; then say "$program: started again $restarts times, see $STATE/log/$program.log"; fi
done
if ! api_ready; then say "API server: not answering on 127.0.0.1:$API_PORT, see $STATE/log/kube-apiserver.log"; exit 1; fi
node_ready || { say "node: not Ready, see $STATE/log/kubelet.log"; bad=1; }
kc get nodes -o wide
kc get pods -A -o wide
kc get storageclass
[ $bad = 0 ] && say "healthy; source $CLUSTER_DIR/env.sh to use it"
exit $bad
