# Shared by every script of the local cluster: where things are, how to report, how to find the node.
# Sourced, never run. Sourcing it changes nothing on the machine.
# shellcheck shell=bash disable=SC2034  # the variables are for the scripts that source this file

CLUSTER_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO_DIR=$(cd "$CLUSTER_DIR/../../.." && pwd)
# shellcheck source=versions.env
. "$CLUSTER_DIR/versions.env"

CACHE=${PAYPLANE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/payplane}
STATE=${PAYPLANE_STATE:-/var/lib/payplane-cluster}
API_PORT=${PAYPLANE_API_PORT:-6443}

# The names this cluster owns on the host. Everything else it makes lives in the node's own namespaces.
NODE_NAME=payplane
HOST_LINK=pp-node0
NODE_NET=${PAYPLANE_NODE_NET:-172.31.255}   # .1 is the host's end of the link, .2 the node
HOST_IP=$NODE_NET.1
NODE_IP=$NODE_NET.2
CGROUP=payplane
STATE_MARK=$STATE/.payplane-cluster          # down.sh deletes no folder without it

POD_CIDR=10.244.0.0/16
SERVICE_CIDR=10.96.0.0/16
API_SERVICE_IP=10.96.0.1
DNS_SERVICE_IP=10.96.0.10

CONTAINERD_SOCKET=$STATE/run/containerd.sock
ADMIN_CONF=$STATE/admin.conf
INIT_PID_FILE=$STATE/run/init.pid

# Folders whose place kubelet, containerd or the CNI plugins fix, each with the folder under $STATE that stands in for
# it inside the node's mount namespace. The host needs only an empty folder to mount on.
NODE_DIRS=(
  /var/lib/kubelet:kubelet
  /var/lib/cni:cni/cache
  /var/log/pods:log/pods
  /var/log/containers:log/containers
  /run/containerd:run/containerd
)

say() { printf '[cluster] %s\n' "$*"; }
die() { printf '[cluster] error: %s\n' "$*" >&2; exit 1; }

# step TEXT COMMAND...: reports the text, runs the command, reports the seconds it took; returns the command's status.
step() {
  local text=$1 start=$SECONDS status=0; shift
  say "$text ..."
  "$@" || status=$?
  if [ $status = 0 ]; then say "$text: done in $((SECONDS - start)) s"
  else say "$text: failed after $((SECONDS - start)) s"; fi
  return $status
}

# wait_until SECONDS COMMAND...: repeats the command until it succeeds; fails once the time is over.
wait_until() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.5
  done
}

need_root() { [ "$(id -u)" = 0 ] || die "$1 needs root: it makes namespaces, mounts and a network link"; }

# A kubeconfig or context of the caller's own means: use that cluster, never touch its lifecycle.
foreign_cluster() {
  [ -n "${PAYPLANE_CONTEXT:-}" ] || { [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$ADMIN_CONF" ]; }
}
foreign_reason() {
  if [ -n "${PAYPLANE_CONTEXT:-}" ]; then echo "PAYPLANE_CONTEXT is set to $PAYPLANE_CONTEXT"
  else echo "KUBECONFIG is set to $KUBECONFIG"; fi
}

# One lock for everything that changes the cluster or the caches. It lies in the cache because down.sh deletes the
# state folder. The file descriptor must be closed (8>&-) for processes that stay.
take_lock() {
  mkdir -p "$CACHE"
  [ -z "${PAYPLANE_LOCK_HELD:-}" ] || return 0
  exec 8>"$CACHE/lock"
  flock -n 8 || { say "waiting for another start, stop or image build to end"; flock -w 1800 8 || die "still locked: $CACHE/lock"; }
  export PAYPLANE_LOCK_HELD=1
}

# hash_of FILE...: one short hash over names and contents; folders count with everything in them.
hash_of() {
  local path
  for path in "$@"; do
    if [ -d "$path" ]; then (cd "$path" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum)
    else sha256sum <"$path"; fi
  done | sha256sum | cut -c1-12
}

# The node's first process, as a process id of the host; prints nothing and fails when it is not running. The start
# time guards against a process id that was given to another program meanwhile.
init_pid() {
  local pid start stat
  [ -r "$INIT_PID_FILE" ] && read -r pid start <"$INIT_PID_FILE" || return 1
  { read -r -a stat <"/proc/$pid/stat"; } 2>/dev/null || return 1
  [ "${stat[21]}" = "$start" ] || return 1
  echo "$pid"
}

# in_node COMMAND...: runs a command inside the node, with its mounts, processes and network.
in_node() {
  local pid
  pid=$(init_pid) || die "the cluster is not running; start it with $CLUSTER_DIR/up.sh"
  nsenter --target "$pid" --mount --pid --net --uts --ipc -- "$@"
}

kc() { "$CACHE/bin/kubectl" --kubeconfig "$ADMIN_CONF" "$@"; }
ctr_node() { ctr --namespace k8s.io --address "$CONTAINERD_SOCKET" "$@"; }

api_ready() { init_pid >/dev/null && kc --request-timeout=3s get --raw /readyz >/dev/null 2>&1; }
node_ready() {
  [ "$(kc --request-timeout=3s get node "$NODE_NAME" \
    -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]
}
# CoreDNS and the provisioner each have their replica.
system_ready() {
  [ "$(kc --request-timeout=3s get deployments -A -o \
    'jsonpath={range .items[*]}{.metadata.name}={.status.availableReplicas}{" "}{end}' 2>/dev/null |
    grep -oE '\b(coredns|local-path-provisioner)=[1-9]' | wc -l)" = 2 ]
}

# Where the binaries of a tool lie: the hash covers everything that decides what is built.
GO_LDFLAGS="-s -w"
tool_dir() { # NAME VERSION [SOURCE FOLDER]
  echo "$CACHE/$1/$2-$({ echo "$GO_LDFLAGS $(uname -m)"; [ -z "${3:-}" ] || hash_of "$3"; } | sha256sum | cut -c1-12)"
}
kube_dir() { tool_dir kube "$KUBE_VERSION" "$CLUSTER_DIR/tools/kube"; }
etcd_dir() { tool_dir etcd "$ETCD_VERSION" "$CLUSTER_DIR/tools/etcd"; }
redis_operator_dir() { tool_dir redis-operator "$REDIS_OPERATOR_VERSION" "$CLUSTER_DIR/tools/redis-operator"; }
cloudnative_pg_dir() { tool_dir cloudnative-pg "$CLOUDNATIVE_PG_VERSION" "$CLUSTER_DIR/tools/cloudnative-pg"; }
netpol_dir() { tool_dir netpol 1 "$CLUSTER_DIR/tools/netpol"; }
forward_dir() { tool_dir forward 1 "$CLUSTER_DIR/tools/forward"; }

# Debian and the upstream releases put the CNI plugins in different folders.
cni_bin_dir() {
  local dir
  for dir in /usr/lib/cni /opt/cni/bin; do
    if [ -x "$dir/bridge" ] && [ -x "$dir/portmap" ] && [ -x "$dir/host-local" ]; then echo "$dir"; return; fi
  done
  return 1
}
