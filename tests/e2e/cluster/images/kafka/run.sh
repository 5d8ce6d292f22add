#!/bin/sh
# Starts one broker that is its own controller (KRaft), as the official image does: every variable KAFKA_A_B becomes the
# property a.b (__ stands for _, ___ for -), CLUSTER_ID names the cluster. A data folder that already is formatted stays.
set -eu
config=${KAFKA_CONFIG_DIR:-/tmp/kafka-config}
mkdir -p "$config"
cat >"$config/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092
log.dirs=/tmp/kraft-combined-logs
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
P
# The last value of a property wins, so these override the ones above.
env | grep '^KAFKA_' | grep -vE '^KAFKA_(HOME|HEAP_OPTS|OPTS|JVM_PERFORMANCE_OPTS|LOG4J_CONFIG|CONFIG_DIR)=' |
  while IFS='=' read -r name value; do
    name=$(echo "${name#KAFKA_}" | tr '[:upper:]' '[:lower:]' | sed -e 's/___/-/g' -e 's/__/%/g' -e 's/_/./g' -e 's/%/_/g')
    echo "$name=$value"
  done >>"$config/server.properties"
bin=${KAFKA_HOME:-/opt/kafka}/bin
"$bin/kafka-storage.sh" format --ignore-formatted --cluster-id "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" \
  --config "$config/server.properties"
exec "$bin/kafka-server-start.sh" "$config/server.properties"
