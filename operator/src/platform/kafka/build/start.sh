#!/bin/sh
# Starts one broker that is its own controller. Prepares the volume the first time, and with it the engine's login.
#
# Whoever comes from another pod is encrypted and logs in; the other two listeners are on loopback. A crash while the
# volume is prepared leaves it without meta.properties, so the next start prepares it again.
set -eu
umask 0077
bin=${KAFKA_BIN:-/opt/kafka/bin}
work=${WORK_DIR:-/tmp/payplane}
mkdir -p "$work"
cat "$TLS_DIR/tls.key" "$TLS_DIR/tls.crt" >"$work/broker.pem"

cat >"$work/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:9094
controller.listener.names=CONTROLLER
inter.broker.listener.name=LOCAL
listeners=CLIENTS://:9093,LOCAL://127.0.0.1:9095,CONTROLLER://127.0.0.1:9094
advertised.listeners=CLIENTS://$ADVERTISED_HOST:9093,LOCAL://127.0.0.1:9095
listener.security.protocol.map=CLIENTS:SASL_SSL,LOCAL:PLAINTEXT,CONTROLLER:PLAINTEXT
listener.name.clients.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=$work/broker.pem
log.dirs=$DATA_DIR
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.bytes=$RETENTION_BYTES
PROPERTIES

if [ ! -s "$DATA_DIR/meta.properties" ]; then
    # In a file of arguments: a command line is for everybody to read.
    printf '%s\n' --add-scram "SCRAM-SHA-512=[name=$(cat "$CLIENT_DIR/username"),password=$(cat "$CLIENT_DIR/password")]" \
        >"$work/login"
    id=$("$bin/kafka-storage.sh" random-uuid | tail -n 1)
    "$bin/kafka-storage.sh" format --cluster-id "$id" --config "$work/server.properties" "@$work/login" >"$work/format.log" ||
        { tail -n 20 "$work/format.log" >&2; exit 1; }
    rm -f "$work/login"
    sync
fi
exec "$bin/kafka-server-start.sh" "$work/server.properties"
