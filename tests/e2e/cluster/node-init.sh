#!/usr/bin/env bash
# The node's first process. up.sh starts it in new mount, process, network, host-name and IPC namespaces.
#
# Order: record the process id; give the node its own folders, network and limits; start the programs, each watched and
# started again when it ends. Everything lives in these namespaces, so the end of this process ends every program,
# container, mount, link and packet rule of the cluster at once, however it came about.
#
# File descriptor 9 is the host's network namespace.
set -euo pipefail

# /proc still is the host's here and shows the process id that down.sh needs.
read -r -a stat </proc/self/stat
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
echo "${stat[0]} ${stat[21]}" >"$INIT_PID_FILE.new"
mv "$INIT_PID_FILE.new" "$INIT_PID_FILE"

KUBE=$(kube_dir)/kube
ETCD=$(etcd_dir)/etcd
PKI=$STATE/pki

prepare_mounts() {
  # Pods may ask for mounts that propagate, which needs shared mounts; they stay inside this namespace.
  mount --make-rshared /
  mount -t proc proc /proc
  local pair target source
  for pair in "${NODE_DIRS[@]}"; do
    target=${pair%%:*} source=$STATE/${pair#*:}
    mkdir -p "$source"
    mount --bind "$source" "$target"
  done
  # kubelet writes these settings of the whole machine. It gets plain files that already hold what it wants instead.
  local setting
  mkdir -p "$STATE/run/sysctl"
  for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    target=/proc/sys/${setting%%=*} source=$STATE/run/sysctl/$(basename "${setting%%=*}")
    [ -e "$target" ] || continue
    echo "${setting#*=}" >"$source"
    mount --bind "$source" "$target"
  done
}

prepare_network() {
  hostname "$NODE_NAME"
  ip link set lo up
  # The link's other end stays on the host and vanishes with this namespace.
  nsenter --net=/proc/self/fd/9 ip link add "$HOST_LINK" type veth peer name eth0 netns 1
  nsenter --net=/proc/self/fd/9 ip addr add "$HOST_IP/30" dev "$HOST_LINK"
  nsenter --net=/proc/self/fd/9 ip link set "$HOST_LINK" up
  ip addr add "$NODE_IP/30" dev eth0
  ip link set eth0 up
  # Service addresses are rewritten after the route is chosen, so the node itself needs some route to them. There is no
  # default route: nothing in the cluster reaches further than the host, and attempts fail at once.
  ip route add "$SERVICE_CIDR" dev eth0
  echo 1 >/proc/sys/net/ipv4/ip_forward
  # Packets between pods on the node's bridge must pass the rules for Service addresses.
  if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables; fi
}

# kubelet puts every pod below this group and expects it to exist in each hierarchy.
prepare_cgroups() {
  local dir file
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p "/sys/fs/cgroup/$CGROUP"
    for dir in /sys/fs/cgroup "/sys/fs/cgroup/$CGROUP"; do
      for file in cpu cpuset memory pids io hugetlb; do
        echo "+$file" >"$dir/cgroup.subtree_control" 2>/dev/null || true
      done
    done
    return
  fi
  for dir in /sys/fs/cgroup/*/; do
    [ "$(stat -f -c %T "$dir")" = cgroupfs ] || continue
    mkdir -p "$dir$CGROUP"
    # A new group of processors starts empty and would refuse every process.
    for file in cpuset.cpus cpuset.mems; do
      if [ -e "$dir$file" ]; then cat "$dir$file" >"$dir$CGROUP/$file"; fi
    done
  done
}

# watch NAME COMMAND...: keeps the program running, its output in log/NAME.log.
watch() {
  local name=$1; shift
  (
    set +e
    # Only the forwarder needs a way into the host's network.
    if [ "$name" != forward ]; then exec 9>&-; fi
    while :; do
      "$@"
      echo "[node] $name ended with status $?, starting it again"
      sleep 1
    done >>"$STATE/log/$name.log" 2>&1
  ) </dev/null &
}

start_programs() {
  watch forward nsenter --net=/proc/self/fd/9 "$(forward_dir)/forward" "127.0.0.1:$API_PORT" "$NODE_IP:6443"
  watch containerd containerd --config "$STATE/etc/containerd.toml"
  # The data dies with the cluster, so nothing is lost by not waiting for the disk.
  watch etcd "$ETCD" --name "$NODE_NAME" --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster "$NODE_NAME=http://127.0.0.1:2380"
  watch kube-apiserver "$KUBE" kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
    --secure-port=6443 --advertise-address="$NODE_IP" \
    --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" --client-ca-file="$PKI/ca.crt" \
    --service-account-key-file="$PKI/sa.key" --service-account-signing-key-file="$PKI/sa.key" \
    --service-account-issuer=https://kubernetes.default.svc --api-audiences=https://kubernetes.default.svc \
    --service-cluster-ip-range="$SERVICE_CIDR" --authorization-mode=Node,RBAC --allow-privileged=true \
    --enable-admission-plugins=NodeRestriction --kubelet-preferred-address-types=InternalIP \
    --kubelet-certificate-authority="$PKI/ca.crt" \
    --kubelet-client-certificate="$PKI/apiserver-kubelet.crt" --kubelet-client-key="$PKI/apiserver-kubelet.key" \
    --requestheader-client-ca-file="$PKI/front-ca.crt" --requestheader-allowed-names=front-proxy \
    --proxy-client-cert-file="$PKI/front-proxy.crt" --proxy-client-key-file="$PKI/front-proxy.key" \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra-
  # The others would only fill their logs with errors before the API server answers.
  until "$KUBE" kubectl --kubeconfig "$STATE/etc/apiserver-local.conf" --request-timeout=2s get --raw /readyz \
    >/dev/null 2>&1; do sleep 0.3; done
  watch kube-controller-manager "$KUBE" kube-controller-manager --kubeconfig="$STATE/etc/controller-manager.conf" \
    --authentication-kubeconfig="$STATE/etc/controller-manager.conf" \
    --authorization-kubeconfig="$STATE/etc/controller-manager.conf" --use-service-account-credentials \
    --service-account-private-key-file="$PKI/sa.key" --root-ca-file="$PKI/ca.crt" \
    --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
    --allocate-node-cidrs --cluster-cidr="$POD_CIDR" --service-cluster-ip-range="$SERVICE_CIDR" \
    --flex-volume-plugin-dir="$STATE/kubelet/volumeplugins" --leader-elect=false --bind-address=127.0.0.1 \
    --kube-api-qps=100 --kube-api-burst=200 --horizontal-pod-autoscaler-sync-period=5s
  watch kube-scheduler "$KUBE" kube-scheduler --kubeconfig="$STATE/etc/scheduler.conf" \
    --authentication-kubeconfig="$STATE/etc/scheduler.conf" --authorization-kubeconfig="$STATE/etc/scheduler.conf" \
    --leader-elect=false --bind-address=127.0.0.1
  watch kubelet "$KUBE" kubelet --kubeconfig="$STATE/etc/kubelet.conf" --config="$STATE/etc/kubelet.yaml" \
    --hostname-override="$NODE_NAME" --node-ip="$NODE_IP"
  watch kube-proxy "$KUBE" kube-proxy --config="$STATE/etc/kube-proxy.yaml"
  if [ "${PAYPLANE_NETPOL:-on}" = on ]; then
    watch netpol "$(netpol_dir)/netpol" https://127.0.0.1:6443 "$PKI/ca.crt" "$PKI/admin.crt" "$PKI/admin.key"
  fi
}

prepare_mounts
prepare_network
prepare_cgroups
start_programs
exec 9>&-
echo "node started"

# The first process of a process namespace inherits the orphans of all others, container shims among them. bash
# collects them while it waits.
while :; do wait || true; sleep 1; done
