#!/bin/sh
# Starts one node, which is broker and controller. Prepares its volume the first time.
#
# NODES are the hosts of all nodes, in the order of their ordinals; POD_NAME ends with this one's. Clients are encrypted and
# log in. Nodes show each other the certificate that only they have, and that is the only super user: who else may do what
# is written by rights.sh. Two of three nodes have an event before it counts as published.
#
# A crash while the volume is prepared leaves it without meta.properties, so the next start prepares it again. IN_SYNC is
# there as soon as this node has all that the others have.
set -eu
umask 0077
bin=${KAFKA_BIN:-/opt/kafka/bin}
work=${WORK_DIR:-/tmp/payplane}
id=$((${POD_NAME##*-} + 1))
count=0
voters=
for node in $NODES; do
    count=$((count + 1))
    voters=$voters${voters:+,}$count@$node:9094
    [ "$count" != "$id" ] || host=$node
done
needed=$((count / 2 + 1))
mkdir -p "$work"
rm -f "$IN_SYNC"
cat "$TLS_DIR/tls.key" "$TLS_DIR/tls.crt" >"$work/node.pem"

# Who votes is part of what is on the volume: with others, nodes that know nothing could outvote those that know.
prepared=$(cat "$DATA_DIR.nodes" 2>/dev/null || echo "$count")
if [ "$prepared" != "$count" ]; then
    echo "The volume was prepared for $prepared nodes, and the Platform asks for $count: apply the Platform anew with" \
        "kafka.managed.replicas: $prepared, or delete the volumes and publish the journal again" >&2
    exit 1
fi

cat >"$work/node.properties" <<PROPERTIES
security.protocol=SSL
ssl.keystore.type=PEM
ssl.keystore.location=$work/node.pem
ssl.truststore.type=PEM
ssl.truststore.location=$TLS_DIR/ca.crt
PROPERTIES

{
    grep '^ssl' "$work/node.properties"
    cat <<PROPERTIES
process.roles=broker,controller
node.id=$id
controller.quorum.voters=$voters
controller.listener.names=CONTROLLER
inter.broker.listener.name=NODES
listeners=CLIENTS://${LISTEN_ON:-}:9093,NODES://${LISTEN_ON:-}:9095,CONTROLLER://${LISTEN_ON:-}:9094
advertised.listeners=CLIENTS://$host:9093,NODES://$host:9095,CONTROLLER://$host:9094
listener.security.protocol.map=CLIENTS:SASL_SSL,NODES:SSL,CONTROLLER:SSL
listener.name.clients.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.nodes.ssl.client.auth=required
listener.name.controller.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:CN=$NODE_NAME
log.dirs=$DATA_DIR
auto.create.topics.enable=false
default.replication.factor=$count
min.insync.replicas=$needed
offsets.topic.replication.factor=$count
transaction.state.log.replication.factor=$count
transaction.state.log.min.isr=$needed
group.initial.rebalance.delay.ms=0
# By default 128 MiB, half of the smallest heap.
log.cleaner.dedupe.buffer.size=8388608
log.retention.bytes=$RETENTION_BYTES
PROPERTIES
} >"$work/server.properties"

if [ ! -s "$DATA_DIR/meta.properties" ]; then
    mkdir -p "$DATA_DIR"
    echo "$count" >"$DATA_DIR.nodes"
    "$bin/kafka-storage.sh" format --cluster-id "$CLUSTER_ID" --config "$work/server.properties" >"$work/format.log" ||
        { tail -n 20 "$work/format.log" >&2; exit 1; }
    sync
fi

# Partitions that this node should have and has not got all of.
behind() {
    partitions=$(KAFKA_HEAP_OPTS='-Xms16m -Xmx64m' "$bin/kafka-topics.sh" --bootstrap-server "$host:9095" \
        --command-config "$work/node.properties" --describe --under-replicated-partitions 2>"$work/in-sync.log") || return 0
    printf '%s\n' "$partitions" | awk -F '\t' -v id="$id" '
        { of = in_sync = "" }
        { for (i = 1; i <= NF; i++) { split($i, part, ": "); if (part[1] == "Replicas") of = part[2]; if (part[1] == "Isr") in_sync = part[2] } }
        index("," of ",", "," id ",") && !index("," in_sync ",", "," id ",") { count++ }
        END { exit !count }'
}

# Until then, and not longer than the node itself.
(
    while behind; do
        kill -0 $$ 2>/dev/null || exit 0
        sleep 5
    done
    : >"$IN_SYNC"
) &
exec "$bin/kafka-server-start.sh" "$work/server.properties"
