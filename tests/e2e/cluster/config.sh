#!/usr/bin/env bash
# Writes certificates, kubeconfigs and the programs' configuration into an empty state folder. Called by up.sh.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PKI=$STATE/pki
ETC=$STATE/etc
umask 077
mkdir -p "$PKI" "$ETC" "$STATE/cni" "$STATE/volumes" "$STATE/containerd"
# Pods of any user reach their data through these.
chmod 755 "$STATE" "$STATE/volumes"

authority() { # NAME
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$PKI/$1.key" -out "$PKI/$1.crt" \
    -subj "/CN=payplane-$1" -days 3650 2>/dev/null
}

certificate() { # AUTHORITY NAME SUBJECT [ALTERNATIVE NAMES]
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$PKI/$2.key" -out "$PKI/$2.csr" \
    -subj "$3" 2>/dev/null
  openssl x509 -req -in "$PKI/$2.csr" -CA "$PKI/$1.crt" -CAkey "$PKI/$1.key" -CAcreateserial -days 3650 \
    -out "$PKI/$2.crt" -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\n%s\n' "${4:+subjectAltName=$4}") 2>/dev/null
  rm "$PKI/$2.csr"
}

kubeconfig() { # FILE SERVER CERTIFICATE
  cat >"$1" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: payplane-local
  cluster: {server: "https://$2", certificate-authority-data: $(base64 -w0 <"$PKI/ca.crt")}
users:
- name: $3
  user: {client-certificate-data: $(base64 -w0 <"$PKI/$3.crt"), client-key-data: $(base64 -w0 <"$PKI/$3.key")}
contexts:
- name: payplane-local
  context: {cluster: payplane-local, user: $3}
current-context: payplane-local
YAML
}

authority ca
authority front-ca
# RSA, as kubeadm makes it: whoever checks the tokens of this cluster meets the algorithm of most real ones.
openssl genrsa -out "$PKI/sa.key" 2048 2>/dev/null
names=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
names+=,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$API_SERVICE_IP,IP:$NODE_IP
certificate ca apiserver /CN=kube-apiserver "$names"
certificate ca apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
certificate ca admin /O=system:masters/CN=payplane-admin
certificate ca controller-manager /CN=system:kube-controller-manager
certificate ca scheduler /CN=system:kube-scheduler
certificate ca kube-proxy /CN=system:kube-proxy
certificate ca kubelet "/O=system:nodes/CN=system:node:$NODE_NAME" "DNS:$NODE_NAME,IP:$NODE_IP"
certificate front-ca front-proxy /CN=front-proxy

kubeconfig "$ADMIN_CONF" "127.0.0.1:$API_PORT" admin
# Inside the node the server listens on its usual port, whatever the host's is.
kubeconfig "$ETC/apiserver-local.conf" 127.0.0.1:6443 admin
for user in controller-manager scheduler kube-proxy kubelet; do kubeconfig "$ETC/$user.conf" 127.0.0.1:6443 $user; done

cat >"$STATE/cni/10-payplane.conflist" <<JSON
{
  "cniVersion": "0.4.0",
  "name": "payplane",
  "plugins": [
    {
      "type": "bridge", "bridge": "pp-cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
      "ipam": {
        "type": "host-local", "dataDir": "/var/lib/cni/networks",
        "ranges": [[{"subnet": "${POD_CIDR%.0.0/16}.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
JSON

# Where root lacks the right to lower a process's OOM score (inside some virtual machines and containers), every
# sandbox would fail without restrict_oom_score_adj.
cat >"$ETC/containerd.toml" <<TOML
version = 2
root = "$STATE/containerd"
state = "$STATE/run/containerd-state"
[grpc]
  address = "$CONTAINERD_SOCKET"
[plugins."io.containerd.internal.v1.opt"]
  path = "$STATE/run/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/payplane/pause:1"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$(cni_bin_dir)"
    conf_dir = "$STATE/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
TOML

# Images come from local archives only and could not be fetched again, so kubelet must never collect them. The disk is
# the machine's own: pods are evicted only when it is really full. Tests kill the same containers again and again; waiting
# up to minutes before each restart, twice as long each time, would show nothing.
cat >"$ETC/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet.crt
tlsPrivateKeyFile: $PKI/kubelet.key
containerRuntimeEndpoint: unix://$CONTAINERD_SOCKET
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
clusterDNS: [$DNS_SERVICE_IP]
resolvConf: ""
volumePluginDir: /var/lib/kubelet/volumeplugins
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
syncFrequency: 10s
serializeImagePulls: false
featureGates: {KubeletCrashLoopBackOffMax: true}
crashLoopBackOff: {maxContainerRestartPeriod: 1s}
YAML

# A value of zero leaves the connection tracking settings of the machine alone.
cat >"$ETC/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $ETC/kube-proxy.conf}
mode: iptables
hostnameOverride: $NODE_NAME
clusterCIDR: $POD_CIDR
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 0s}
YAML
