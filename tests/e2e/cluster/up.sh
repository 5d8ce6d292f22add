#!/usr/bin/env bash
# Starts the local cluster and waits until it is usable. Running it again is harmless.
#
# Order: leave a healthy cluster alone; install what is missing on the host; build tools and images that are not in the
# cache; remove what an earlier start left; make keys and configuration; start the node; import images; apply CoreDNS
# and the default StorageClass; wait for all of it. Guarantees: on success the node is Ready, DNS answers and volumes
# bind; on failure it says which program or step failed and where its log is.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if foreign_cluster; then
  say "$(foreign_reason): using that cluster as it is; unset it for the local cluster"
  exit 0
fi
need_root "the local cluster"
[ ${#CONTAINERD_SOCKET} -le 100 ] || die "PAYPLANE_STATE is too long: $CONTAINERD_SOCKET must stay below 108 characters"
case $STATE in
  /*) ;;
  *) die "PAYPLANE_STATE must be an absolute path" ;;
esac
take_lock
start=$SECONDS

finish() {
  say "ready after $((SECONDS - start)) s: source $CLUSTER_DIR/env.sh"
  exit 0
}

# explain TEXT: ends the script with the text and the last lines of the logs.
explain() {
  local log
  for log in node containerd etcd kube-apiserver kubelet; do
    if [ -s "$STATE/log/$log.log" ]; then say "end of $log.log:" >&2; tail -n 5 "$STATE/log/$log.log" >&2; fi
  done
  die "$1; the logs are in $STATE/log"
}

manifests() { hash_of "$CLUSTER_DIR/manifests" "$CLUSTER_DIR/versions.env"; }

# The provisioner's helper pods run the toolbox, whose tag follows its content.
apply() {
  local file toolbox
  toolbox=$(sed -n 's/^TOOLBOX_IMAGE=//p' "$STATE/images.env") && [ -n "$toolbox" ] || return 1
  for file in "$CLUSTER_DIR"/manifests/*.yaml; do
    sed -e "s|@TOOLBOX_IMAGE@|$toolbox|g" -e "s|@COREDNS_VERSION@|$COREDNS_VERSION|g" \
      -e "s|@LOCAL_PATH_VERSION@|$LOCAL_PATH_VERSION|g" -e "s|@VOLUMES@|$STATE/volumes|g" \
      -e "s|@DNS_SERVICE_IP@|$DNS_SERVICE_IP|g" "$file"
    echo ---
  done | kc apply -f - >/dev/null
}

# What runs inside the cluster. Repeating it on a running one changes nothing.
system_pods() {
  step "importing images" "$CLUSTER_DIR/images.sh" --load cluster --quiet pause coredns local-path-provisioner toolbox
  step "applying CoreDNS and the default StorageClass" apply || explain "the manifests could not be applied"
  step "waiting for the node" wait_until 60 node_ready || explain "the node did not become Ready within 60 s"
  if ! step "waiting for CoreDNS and volumes" wait_until 90 system_ready; then
    kc get pods -A -o wide >&2
    kc -n kube-system logs deployment/coredns --tail=5 >&2 || true
    kc -n local-path-storage logs deployment/local-path-provisioner --tail=5 >&2 || true
    explain "CoreDNS or the volume provisioner did not become ready within 90 s"
  fi
  manifests >"$STATE/applied"
}

node_usable() { api_ready && node_ready; }
if init_pid >/dev/null; then
  if wait_until 30 node_usable; then
    if system_ready && [ "$(cat "$STATE/applied" 2>/dev/null)" = "$(manifests)" ]; then say "already running and healthy"; else system_pods; fi
    finish
  fi
  say "running but not healthy after 30 s, starting afresh"
fi

if ! "$CLUSTER_DIR/prerequisites.sh" --check >/dev/null; then step "installing missing packages" "$CLUSTER_DIR/prerequisites.sh"; fi
"$CLUSTER_DIR/build-tools.sh"
"$CLUSTER_DIR/images.sh" --load none --quiet pause coredns local-path-provisioner toolbox

if [ -e "$STATE" ]; then step "removing what an earlier start left" "$CLUSTER_DIR/down.sh" --quiet; fi
if ip link show "$HOST_LINK" >/dev/null 2>&1; then
  die "the link $HOST_LINK exists: another local cluster runs, or a shell is still inside one; stop it, or ip link del $HOST_LINK"
fi
if ip -o -4 addr show | grep -q " $NODE_NET\."; then
  die "this machine already uses $NODE_NET.0/30; set PAYPLANE_NODE_NET to the first three parts of a free network"
fi
if (: >"/dev/tcp/127.0.0.1/$API_PORT") 2>/dev/null; then
  die "port $API_PORT on 127.0.0.1 is taken; set PAYPLANE_API_PORT to a free one"
fi

# Without these modules there are no overlay file systems and no Service addresses between pods of one node. They may
# be built into the kernel, where modprobe has nothing to load.
for module in overlay br_netfilter veth; do modprobe "$module" 2>/dev/null || true; done
grep -qw overlay /proc/filesystems || die "the kernel has no overlay file system (module overlay)"

mkdir -p "$STATE/run" "$STATE/log"
: >"$STATE_MARK"
for pair in "${NODE_DIRS[@]}"; do
  dir=${pair%%:*}
  # Remembered, so that down.sh removes only folders that were not there before.
  if [ ! -d "$dir" ]; then mkdir -p "$dir"; echo "$dir" >>"$STATE/made-dirs"; fi
done
step "making keys and configuration" "$CLUSTER_DIR/config.sh"

# Its own process group, no terminal, no inherited output: the node outlives the calling shell, and a caller that reads
# our output through a pipe sees its end. Without descriptor 8 it does not hold the lock.
start_node() {
  setsid unshare --mount --pid --fork --net --uts --ipc --propagation private \
    env -i PATH="$PATH" HOME=/ PAYPLANE_STATE="$STATE" PAYPLANE_CACHE="$CACHE" PAYPLANE_API_PORT="$API_PORT" \
    PAYPLANE_NODE_NET="$NODE_NET" PAYPLANE_NETPOL="${PAYPLANE_NETPOL:-on}" bash "$CLUSTER_DIR/node-init.sh" \
    9</proc/self/ns/net 8>&- </dev/null >"$STATE/log/node.log" 2>&1 &
}

say "starting the control plane ..."
begin=$SECONDS
start_node
wait_until 10 init_pid || explain "the node did not start"
# A node that ended need not be waited for.
api_ready_or_dead() { api_ready || ! init_pid; }
wait_until 120 api_ready_or_dead || explain "the API server did not become ready within 120 s"
init_pid >/dev/null || explain "the node ended"
say "starting the control plane: done in $((SECONDS - begin)) s"

system_pods
finish
