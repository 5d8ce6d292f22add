#!/bin/sh
# kafka-run-class.sh CLASS [ARGUMENT...]: runs a class of Kafka with the environment variables of the official scripts.
set -eu
home=${KAFKA_HOME:-/opt/kafka}
# shellcheck disable=SC2086  # the options are lists of words
exec java ${KAFKA_HEAP_OPTS:--Xmx256m} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC} \
  -Dlog4j2.configurationFile="${KAFKA_LOG4J_CONFIG:-$home/config/log4j2.properties}" ${KAFKA_OPTS:-} \
  -cp "$home/libs/*${CLASSPATH:+:$CLASSPATH}" "$@"
