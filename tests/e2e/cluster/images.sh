#!/usr/bin/env bash
# Builds container images from their Containerfiles without a container engine or registry, and loads them.
#
# images.sh [--load cluster|none|kind:NAME|k3d:NAME] [--quiet] [NAME...]
#   NAME: engine operator postgres redis kafka toolbox pause coredns local-path-provisioner; all without names.
#         cloudnative-pg, redis-operator, postgres-barman, the server with what CloudNativePG stores logs and copies with, and
#         postgres-next, PostgreSQL of the next Debian, only by name.
#   --load cluster (the default while the local cluster runs): import into its containerd.
#   --load kind:NAME, k3d:NAME: print the command that loads the archives there. none: only build.
#
# Buildah reads the Containerfiles as any user's engine would. Two things stand in for a registry: the base
# debian:bookworm-slim is made by mmdebstrap, and a stage based on a language image (rust, golang, maven) is replaced by
# a folder with the result of the same build on this machine, where the toolchain and its caches are.
#
# An image is built only when the hash of its inputs is not in $CACHE/images. Afterwards images.env, in the state folder
# and in $CACHE/images, names the images: ENGINE_IMAGE=... and so on. The tags of engine, operator and toolbox follow
# their content.
set -euo pipefail
# shellcheck source=lib.sh disable=SC2016  # other shells expand what is quoted
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ALL=(engine operator postgres redis kafka toolbox pause coredns local-path-provisioner)
load='' quiet=''
while [ $# -gt 0 ]; do
  case $1 in
    --load) load=${2:?--load needs a target}; shift 2 ;;
    --quiet) quiet=1; shift ;;
    -*) die "unknown option $1" ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || set -- "${ALL[@]}"
NAMES=("$@")
if [ -z "$load" ]; then
  if foreign_cluster; then load=none
  elif init_pid >/dev/null; then load=cluster
  else load=none; fi
fi
case $load in
  cluster) init_pid >/dev/null || die "the cluster is not running; start it, or use --load none" ;;
  none | kind:?* | k3d:?*) ;;
  *) die "unknown target $load" ;;
esac
need_root "building images"
take_lock

IMAGES=$CACHE/images
mkdir -p "$IMAGES"
WORK=$(mktemp -d "$CACHE/.images.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
# Files of an image keep the modes the builder gave them, whoever runs this.
umask 022
TARGET_DIR=${CARGO_TARGET_DIR:-$REPO_DIR/target}

# buildah keeps a cache file at a fixed place; its own mount namespace puts it in the cache folder and takes away the
# mounts of a build that was killed.
buildah_here() {
  mkdir -p "$CACHE/buildah/containers" "$WORK/run"
  local made=''
  if [ ! -d /var/lib/containers ]; then mkdir -p /var/lib/containers; made=1; fi
  local status=0
  unshare --mount --propagation private sh -c 'mount --bind "$1" /var/lib/containers; shift; exec "$@"' - \
    "$CACHE/buildah/containers" \
    buildah --root "$CACHE/buildah/storage" --runroot "$WORK/run" --storage-driver overlay "$@" || status=$?
  [ -z "$made" ] || rmdir /var/lib/containers
  return $status
}

# A command whose output matters only when it fails.
quietly() {
  if ! "$@" >"$WORK/log" 2>&1; then
    tail -n 40 "$WORK/log" >&2
    die "failed: $*"
  fi
}

# The stand-in for the official base: the same package set, and like there no documentation, no translations and no
# package cache.
# The merged /usr is made by a hook: the package that converts a system (usrmerge) would bring all of Perl.
BASE_OPTIONS=(--variant=minbase --include=usr-is-merged --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright'
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*'
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-include=/usr/share/locale/locale.alias' --dpkgopt='force-unsafe-io'
  --aptopt='Apt::Install-Recommends "false"'
  --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/*.log "$1"/var/log/apt')
base_key() { printf '%s\n' "$1" "${BASE_OPTIONS[@]}" | sha256sum | cut -c1-12; } # SUITE
BASE_KEY=$(base_key "$DEBIAN_SUITE")

make_base() { # SUITE
  local suite=$1 key mark=$CACHE/buildah/base tar base=localhost/debian:$1-slim
  key=$(base_key "$suite")
  [ "$suite" = "$DEBIAN_SUITE" ] || mark+=-$suite
  tar=$CACHE/base/$suite-$key.tar
  if [ ! -s "$tar" ]; then
    mkdir -p "$CACHE/base"
    step "making the Debian base $suite (about 1 minute)" \
      quietly env SOURCE_DATE_EPOCH=0 mmdebstrap "${BASE_OPTIONS[@]}" "$suite" "$WORK/base.tar"
    mv "$WORK/base.tar" "$tar"
  fi
  [ "$(cat "$mark" 2>/dev/null)" != "$key" ] || return 0
  # Layers of an earlier base would stay for ever.
  if [ "$suite" = "$DEBIAN_SUITE" ]; then
    quietly buildah_here rmi --all --force
    rm -f "$CACHE"/buildah/base-*
  fi
  rm -rf "$WORK/base"
  mkdir -p "$WORK/base"
  ln "$tar" "$WORK/base/base.tar" 2>/dev/null || cp "$tar" "$WORK/base/base.tar"
  printf 'FROM scratch\nADD base.tar /\nCMD ["bash"]\n' >"$WORK/base/Containerfile"
  quietly buildah_here bud --layers=false --timestamp 0 -t "$base" -f "$WORK/base/Containerfile" "$WORK/base"
  echo "$key" >"$mark"
}

# Results that stand in for the language stages. Each fills the folder given to it with what the stage leaves in /out.
tool_result() { # TOOL VERSION OUT
  "$CLUSTER_DIR/build-tools.sh" "$1"
  install -D "$(tool_dir "$1" "$2")/$1" "$3/usr/bin/$1"
}
cloudnative_pg_result() {
  "$CLUSTER_DIR/build-tools.sh" cloudnative-pg
  install -D "$(cloudnative_pg_dir)/manager" "$1/operator/manager_amd64"
  ln -s operator/manager_amd64 "$1/manager"
}
redis_operator_result() {
  "$CLUSTER_DIR/build-tools.sh" redis-operator
  install -D "$(redis_operator_dir)/operator" "$1/operator"
}
pause_result() {
  mkdir -p "$1"
  CGO_ENABLED=0 go build -trimpath -ldflags "$GO_LDFLAGS" -o "$1/pause" "$CLUSTER_DIR/images/pause/main.go"
}
kafka_result() {
  command -v mvn >/dev/null || die "the Kafka image needs Maven (Debian package maven) to fetch its jars"
  quietly "$CLUSTER_DIR/images/kafka/jars.sh" "$1/opt/kafka/libs"
}
# One compilation for both programs when both are wanted: apart, cargo would choose other features for what they share
# and compile it twice.
compiled=''
cargo_result() { # NAME OUT
  if [ -z "$compiled" ]; then
    command -v cargo >/dev/null || die "the image of the $1 needs cargo (rustup.rs)"
    local packages=() name
    for name in "${NAMES[@]}"; do
      case $name in engine | operator) packages+=(-p "payplane-$name") ;; esac
    done
    step "compiling for release" compile "${packages[@]}" || die "the programs do not compile"
    compiled=1
  fi
  "$CLUSTER_DIR/images/runtime-root.sh" "$TARGET_DIR/release/payplane-$1" "$2"
}

compile() { (cd "$REPO_DIR" && cargo build --release --locked --quiet "$@"); }

# The versions in the Containerfiles are for those who build them by hand; they must not drift from the pinned ones.
check_pin() { # FILE TEXT
  grep -qF "$2" "$1" || die "$1 does not say $2, as versions.env does"
}

# build NAME TAG KEY [STAGE=FOLDER...]: sets REF and ARCHIVE; runs the Containerfile unless the archive exists.
build() {
  local name=$1 tag=$2 key=$3 file=$CLUSTER_DIR/images/$1/Containerfile context=$REPO_DIR stage options=() suite=$DEBIAN_SUITE
  shift 3
  REF=localhost/payplane/${name%-next}:$tag
  ARCHIVE=$IMAGES/$name-$key.tar
  [ ! -s "$ARCHIVE" ] || return 0
  case $name in
    engine | operator) file=$REPO_DIR/$name/Containerfile ;;
    postgres-barman) file=$CLUSTER_DIR/images/postgres/Containerfile options=(--build-arg MORE_PACKAGES="$BARMAN_PACKAGES") ;;
    postgres-next)
      file=$CLUSTER_DIR/images/postgres/Containerfile suite=$NEXT_DEBIAN_SUITE
      options=(--build-arg "SUITE=$suite" --build-arg "MAJOR=$tag") ;;
  esac
  for stage in "$@"; do options+=(--build-context "$stage"); done
  if grep -q '^FROM debian:' "$file"; then make_base "$suite"; fi
  quietly buildah_here bud --isolation chroot --pull=never --layers=false --timestamp 0 "${options[@]}" \
    -t "$REF" -f "$file" "$context"
  quietly buildah_here push "$REF" "docker-archive:$WORK/image.tar:$REF"
  quietly buildah_here rmi "$REF"
  mv "$WORK/image.tar" "$ARCHIVE"
  # Enough to go back and forth between a few states of the source; a long day of work would fill the disk.
  local old
  find "$IMAGES" -maxdepth 1 -name "$name-????????????.tar" -printf '%T@ %p\n' | sort -rn | tail -n +5 |
    while read -r _ old; do rm -f "$old"; done
}

# Without recommended packages it would lack the library that speaks S3.
BARMAN_PACKAGES='barman-cli-cloud python3-boto3'

# prepare NAME: makes what the image needs, and calls build.
prepare() {
  local name=$1 dir=$CLUSTER_DIR/images/$1 stage=$WORK/$1-stage key
  local out=$stage/out
  # The way of building is an input too.
  local common
  common=$(printf '%s\n' "$GO_LDFLAGS" "$BASE_KEY" 1 | sha256sum)
  key() { printf '%s\n' "$common" "$@" | sha256sum | cut -c1-12; }
  case $name in
    pause)
      key=$(key "$(hash_of "$dir")")
      [ -s "$IMAGES/$name-$key.tar" ] || pause_result "$out"
      build "$name" 1 "$key" "build=$stage" ;;
    coredns | local-path-provisioner)
      local version=$COREDNS_VERSION
      if [ "$name" = coredns ]; then check_pin "$dir/Containerfile" "ARG COREDNS_VERSION=$version"
      else version=$LOCAL_PATH_VERSION; check_pin "$dir/Containerfile" "ARG LOCAL_PATH_VERSION=$version"; fi
      key=$(key "$version" "$(hash_of "$dir")")
      [ -s "$IMAGES/$name-$key.tar" ] || tool_result "$name" "$version" "$out"
      build "$name" "$version" "$key" "build=$stage" ;;
    cloudnative-pg)
      check_pin "$dir/Containerfile" "ARG CLOUDNATIVE_PG_VERSION=$CLOUDNATIVE_PG_VERSION"
      key=$(key "$CLOUDNATIVE_PG_VERSION" "$(hash_of "$dir")")
      [ -s "$IMAGES/$name-$key.tar" ] || cloudnative_pg_result "$out"
      build "$name" "$CLOUDNATIVE_PG_VERSION" "$key" "build=$stage" ;;
    redis-operator)
      check_pin "$dir/Containerfile" "ARG REDIS_OPERATOR_VERSION=$REDIS_OPERATOR_VERSION"
      key=$(key "$REDIS_OPERATOR_VERSION" "$(hash_of "$dir")")
      [ -s "$IMAGES/$name-$key.tar" ] || redis_operator_result "$out"
      build "$name" "$REDIS_OPERATOR_VERSION" "$key" "build=$stage" ;;
    toolbox)
      check_pin "$dir/Containerfile" "ARG GRPCURL_VERSION=$GRPCURL_VERSION"
      key=$(key "$(hash_of "$REPO_DIR/proto/payplane")" "$(hash_of "$dir" "$CLUSTER_DIR/images/runtime-root.sh")")
      [ -s "$IMAGES/$name-$key.tar" ] || tool_result grpcurl "$GRPCURL_VERSION" "$out"
      build "$name" "$key" "$key" "grpcurl=$stage" ;;
    postgres)
      check_pin "$dir/Containerfile" "ARG MAJOR=$POSTGRES_MAJOR"
      build "$name" "$POSTGRES_MAJOR" "$(key "$(hash_of "$dir")")" ;;
    postgres-barman)
      build "$name" "$POSTGRES_MAJOR" "$(key "$BARMAN_PACKAGES" "$(hash_of "$CLUSTER_DIR/images/postgres")")" ;;
    postgres-next)
      key=$(key "$NEXT_DEBIAN_SUITE" "$NEXT_POSTGRES_MAJOR" "$(hash_of "$CLUSTER_DIR/images/postgres")")
      build "$name" "$NEXT_POSTGRES_MAJOR" "$key" ;;
    redis) build "$name" 7.0 "$(key "$(hash_of "$dir")")" ;;
    kafka)
      check_pin "$dir/pom.xml" "<kafka.version>$KAFKA_VERSION</kafka.version>"
      key=$(key "$(hash_of "$dir")")
      [ -s "$IMAGES/$name-$key.tar" ] || kafka_result "$out"
      build "$name" "${KAFKA_VERSION%.*}" "$key" "jars=$stage" ;;
    engine | operator)
      cargo_result "$name" "$out"
      key=$(key "$(hash_of "$out")" "$(hash_of "$REPO_DIR/$name/Containerfile")")
      build "$name" "$key" "$key" "build=$stage" ;;
    *) die "unknown image $name; known: ${ALL[*]}" ;;
  esac
}

# load_image NAME: imports the archive once per cluster; the state folder, and with it the mark, dies with the cluster.
load_image() {
  local mark=$STATE/run/imported-$1
  # Someone may have removed the image by hand since.
  if [ "$(cat "$mark" 2>/dev/null)" = "$ARCHIVE" ] && [ -n "$(ctr_node images ls -q "name==$REF")" ]; then return 0; fi
  quietly ctr_node images import "$ARCHIVE"
  echo "$ARCHIVE" >"$mark"
}

# Entries of images that were not asked for this time stay.
note_image() { # FILE NAME
  local variable
  variable=$(tr 'a-z-' 'A-Z_' <<<"$2")_IMAGE
  { grep -v "^$variable=" "$1" 2>/dev/null || true; echo "$variable=$REF"; } >"$WORK/env"
  install -m 644 "$WORK/env" "$1"
}

rows=() archives=()
for name in "${NAMES[@]}"; do
  begin=$SECONDS
  prepare "$name"
  if [ "$load" = cluster ]; then load_image "$name"; fi
  note_image "$IMAGES/images.env" "$name"
  if [ -e "$STATE_MARK" ]; then note_image "$STATE/images.env" "$name"; fi
  archives+=("$ARCHIVE")
  rows+=("$(printf '%-24s %-14s %6s MB %5s s' "$name" "${REF##*:}" "$(($(stat -c %s "$ARCHIVE") / 1000000))" $((SECONDS - begin)))")
done

[ -n "$quiet" ] || {
  printf '%-24s %-14s %9s %7s\n' image tag size time
  printf '%s\n' "${rows[@]}"
}
case $load in
  kind:*) for archive in "${archives[@]}"; do echo "kind load image-archive '$archive' --name '${load#kind:}'"; done ;;
  k3d:*) for archive in "${archives[@]}"; do echo "k3d image import '$archive' --cluster '${load#k3d:}'"; done ;;
  none) [ -n "$quiet" ] || printf 'archive: %s\n' "${archives[@]}" ;;
esac
