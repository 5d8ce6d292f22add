#!/usr/bin/env bash
# Builds the cluster's programs from pinned Go modules, each once per version, into the cache.
#
# build-tools.sh [NAME...]: kube etcd forward netpol coredns local-path-provisioner grpcurl helm; all of them without arguments.
# cloudnative-pg and redis-operator only by name. A tool is built in a temporary folder and moved into place, so a broken build
# leaves nothing behind that looks complete.
# Afterwards $CACHE/bin holds links to kubectl, helm and grpcurl.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
take_lock

export CGO_ENABLED=0 GOFLAGS=-buildvcs=false
TMP=

# build TEXT FOLDER COMMAND...: runs the command with $OUT as the folder for binaries, unless the folder is there.
build() {
  local text=$1 dir=$2; shift 2
  [ ! -d "$dir" ] || return 0
  command -v go >/dev/null || die "go is missing; install Go 1.21 or newer"
  mkdir -p "$(dirname "$dir")"
  TMP=$(mktemp -d "$(dirname "$dir")/.build.XXXXXX")
  trap 'rm -rf "$TMP"' EXIT
  OUT=$TMP step "$text" without_downloads "$@" || die "failed: $text"
  chmod 755 "$TMP"
  mv -T "$TMP" "$dir"
}

# Go names every module it fetches; hundreds of such lines hide the errors.
without_downloads() { "$@" 2> >(grep -v '^go: \(downloading\|finding\) ' >&2); }

# module_install PACKAGE VERSION: installs a program with the module's own go.sum. GOBIN does not work together with a
# foreign GOOS or GOARCH, so the target is pinned to the host.
module_install() { env -u GOOS -u GOARCH GOBIN="$OUT" go install -trimpath -ldflags "$GO_LDFLAGS" "$1@v$2"; }

build_kube() {
  local v=k8s.io/component-base/version
  (cd "$CLUSTER_DIR/tools/kube" && go build -mod=readonly -trimpath -o "$OUT/kube" -ldflags "$GO_LDFLAGS \
    -X $v.gitVersion=v$KUBE_VERSION -X $v.gitMajor=1 -X $v.gitMinor=$(cut -d. -f2 <<<"$KUBE_VERSION") \
    -X $v.gitTreeState=clean" .)
}
build_forward() { go build -trimpath -o "$OUT/forward" -ldflags "$GO_LDFLAGS" "$CLUSTER_DIR/tools/forward/main.go"; }
build_netpol() { (cd "$CLUSTER_DIR/tools/netpol" && go build -trimpath -o "$OUT/netpol" -ldflags "$GO_LDFLAGS" .); }
build_cloudnative_pg() {
  (cd "$CLUSTER_DIR/tools/cloudnative-pg" && go build -mod=readonly -trimpath -o "$OUT/manager" -ldflags "$GO_LDFLAGS" \
    github.com/cloudnative-pg/cloudnative-pg/cmd/manager)
}
build_redis_operator() {
  (cd "$CLUSTER_DIR/tools/redis-operator" && go build -mod=readonly -trimpath -o "$OUT/operator" -ldflags "$GO_LDFLAGS" \
    github.com/OT-CONTAINER-KIT/redis-operator/cmd)
}
build_etcd() { (cd "$CLUSTER_DIR/tools/etcd" && go build -mod=readonly -trimpath -o "$OUT/etcd" -ldflags "$GO_LDFLAGS" .); }

grep -q "k8s.io/kubernetes v$KUBE_VERSION$" "$CLUSTER_DIR/tools/kube/go.mod" ||
  die "versions.env says Kubernetes $KUBE_VERSION, tools/kube/go.mod says otherwise"
grep -q "github.com/cloudnative-pg/cloudnative-pg v$CLOUDNATIVE_PG_VERSION$" "$CLUSTER_DIR/tools/cloudnative-pg/go.mod" ||
  die "versions.env says CloudNativePG $CLOUDNATIVE_PG_VERSION, tools/cloudnative-pg/go.mod says otherwise"
grep -q "github.com/OT-CONTAINER-KIT/redis-operator v$REDIS_OPERATOR_VERSION$" "$CLUSTER_DIR/tools/redis-operator/go.mod" ||
  die "versions.env says Redis operator $REDIS_OPERATOR_VERSION, tools/redis-operator/go.mod says otherwise"
grep -q "go.etcd.io/etcd/server/v3 v$ETCD_VERSION$" "$CLUSTER_DIR/tools/etcd/go.mod" ||
  die "versions.env says etcd $ETCD_VERSION, tools/etcd/go.mod says otherwise"

[ $# -gt 0 ] || set -- kube etcd forward netpol coredns local-path-provisioner grpcurl helm
for tool in "$@"; do
  case $tool in
    kube) build "building Kubernetes $KUBE_VERSION (5 to 10 minutes the first time)" "$(kube_dir)" build_kube ;;
    etcd) build "building etcd $ETCD_VERSION" "$(etcd_dir)" build_etcd ;;
    forward) build "building the port forwarder" "$(forward_dir)" build_forward ;;
    netpol) build "building the enforcer of NetworkPolicies" "$(netpol_dir)" build_netpol ;;
    helm) build "building helm $HELM_VERSION" "$(tool_dir helm $HELM_VERSION)" \
      module_install helm.sh/helm/v3/cmd/helm $HELM_VERSION ;;
    grpcurl) build "building grpcurl $GRPCURL_VERSION" "$(tool_dir grpcurl $GRPCURL_VERSION)" \
      module_install github.com/fullstorydev/grpcurl/cmd/grpcurl $GRPCURL_VERSION ;;
    coredns) build "building CoreDNS $COREDNS_VERSION" "$(tool_dir coredns $COREDNS_VERSION)" \
      module_install github.com/coredns/coredns $COREDNS_VERSION ;;
    local-path-provisioner) build "building local-path-provisioner $LOCAL_PATH_VERSION" \
      "$(tool_dir local-path-provisioner $LOCAL_PATH_VERSION)" \
      module_install github.com/rancher/local-path-provisioner $LOCAL_PATH_VERSION ;;
    cloudnative-pg) build "building CloudNativePG $CLOUDNATIVE_PG_VERSION" \
      "$(cloudnative_pg_dir)" build_cloudnative_pg ;;
    redis-operator) build "building the Redis operator $REDIS_OPERATOR_VERSION" \
      "$(redis_operator_dir)" build_redis_operator ;;
    *) die "unknown tool $tool" ;;
  esac
done

# Links, replaced in one step each: another shell may be running kubectl through them right now.
mkdir -p "$CACHE/bin"
link() { [ ! -e "$1" ] || { ln -sfn "$1" "$CACHE/bin/.$2.new" && mv -T "$CACHE/bin/.$2.new" "$CACHE/bin/$2"; }; }
link "$(kube_dir)/kube" kubectl
link "$(tool_dir helm $HELM_VERSION)/helm" helm
link "$(tool_dir grpcurl $GRPCURL_VERSION)/grpcurl" grpcurl
