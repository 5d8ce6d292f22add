# shellcheck shell=bash
# Shared by the scripts in this folder: saying what happens, and installing what is missing.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CLUSTER=$ROOT/tests/e2e/cluster
CACHE=${PAYPLANE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/payplane}

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# need_package COMMAND PACKAGE REASON: installs the Debian package unless the command, or the file of that path, is there.
need_package() {
  { command -v "$1" >/dev/null 2>&1 || [ -e "$1" ]; } && return
  say "installing $2: $3"
  [ "$(id -u)" = 0 ] || die "$2 is missing and only root can install it: apt-get install $2"
  [ -n "${APT_UPDATED:-}" ] || apt-get update -qq
  APT_UPDATED=1
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}

# The Rust toolchain comes by rustup, which the distribution does not have in a recent enough version.
need_rust() {
  command -v cargo >/dev/null 2>&1 || die "cargo is missing: install rustup, then run this again (rust-toolchain.toml pins the version)"
  need_package cc gcc "links Rust programs"
  need_librdkafka
}

# Server programs of PostgreSQL are not on the PATH on Debian.
need_postgres() {
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && return
  need_package /usr/lib/postgresql/15/bin/postgres postgresql-15 "tests and benchmarks run their own servers of it"
}

# The engine publishes to Kafka: its client library is built from source, with OpenSSL and zlib of the system.
need_librdkafka() {
  need_package /usr/include/openssl/ssl.h libssl-dev "the engine's Kafka client is built with it"
  need_package /usr/include/zlib.h zlib1g-dev "the engine's Kafka client is built with it"
  need_package pkg-config pkg-config "finds them"
  need_package make make "builds the engine's Kafka client"
  need_package g++ g++ "builds the engine's Kafka client"
}

# Tests of the engine run brokers of their own, from the jars of the Kafka image. Fetched once into the cache.
need_kafka() {
  local image=$CLUSTER/images/kafka folder=$CACHE/kafka
  need_package java openjdk-17-jre-headless "tests run their own Kafka on it"
  cmp -s "$image/pom.xml" "$folder/pom.xml" && return
  need_package mvn maven "fetches the jars of Kafka"
  say "fetching the jars of Kafka"
  rm -rf "$folder"
  mkdir -p "$folder/libs"
  "$image/jars.sh" "$folder/libs" || die "the jars of Kafka were not fetched"
  # Last, so that a fetch that was broken off is done again.
  cp "$image/pom.xml" "$folder/pom.xml"
}

# A server that speaks S3, built from its Go module: tests of backups run their own. Built once into the cache.
need_s3() {
  local folder=$CACHE/versitygw version
  version=$(sed -n 's/^VERSITYGW_VERSION=\([0-9.]*\).*/\1/p' "$CLUSTER/versions.env")
  [ "$(cat "$folder/version" 2>/dev/null)" = "$version" ] && return
  command -v go >/dev/null 2>&1 || die "go is missing; install Go 1.21 or newer"
  say "building versitygw $version, two minutes the first time"
  mkdir -p "$folder"
  env -u GOOS -u GOARCH GOBIN="$folder" CGO_ENABLED=0 GOFLAGS=-buildvcs=false go install -trimpath -ldflags '-s -w' \
    "github.com/versity/versitygw/cmd/versitygw@v$version" >/dev/null 2>&1 || die "versitygw was not built"
  # Last, so that a build that was broken off is done again.
  echo "$version" >"$folder/version"
}

need_redis() { need_package redis-server redis-server "tests of the engine run their own servers of it"; }

# A library that is loaded into an engine, so that its clock can be wrong.
need_faketime() { need_package faketime faketime "a test runs an engine whose clock is wrong"; }

# Points kubectl, helm and the tests at one cluster: the one that the user named with PAYPLANE_CONTEXT or KUBECONFIG, or
# else the local one.
use_cluster() {
  PATH=$CACHE/bin:$PATH
  if [ -n "${PAYPLANE_CONTEXT:-}" ]; then
    local config=$CACHE/context.conf
    (umask 077 && kubectl config view --minify --flatten --context "$PAYPLANE_CONTEXT" >"$config")
    KUBECONFIG=$config
  elif [ -z "${KUBECONFIG:-}" ]; then
    # shellcheck source=e2e/cluster/env.sh
    . "$CLUSTER/env.sh"
  fi
  export PATH KUBECONFIG
}

# module TOOL: fetches the Go module of an operator that others wrote, in the version of the tool's go.mod and checked against its
# go.sum, and names its folder.
module() {
  command -v go >/dev/null || die "go is missing; install Go 1.21 or newer"
  local wanted folder
  wanted=$(sed -n 's/^require \(.*\) \(v.*\)$/\1@\2/p' "$CLUSTER/tools/$1/go.mod")
  folder=$(cd "$CLUSTER/tools/$1" && timeout 600 go mod download -json "$wanted" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
  [ -d "$folder" ] || die "the module $wanted was not fetched"
  echo "$folder"
}

# The names of the images that images.sh built last, as variables for scripts and tests.
use_images() {
  set -a
  # shellcheck source=/dev/null
  . "$CACHE/images/images.env"
  set +a
}

passed=0 failed=0
# check NAME COMMAND...: one line for one check; `verdict` ends the script with the counts.
check() {
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
    say "ok     $name"
  else
    failed=$((failed + 1))
    say "FAILED $name"
  fi
}

verdict() {
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" = 0 ]
}
