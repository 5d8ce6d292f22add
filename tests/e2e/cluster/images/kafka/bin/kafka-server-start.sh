#!/bin/sh
export KAFKA_HEAP_OPTS="${KAFKA_HEAP_OPTS:--Xms256m -Xmx384m}"
exec "$(dirname "$0")/kafka-run-class.sh" kafka.Kafka "$@"
