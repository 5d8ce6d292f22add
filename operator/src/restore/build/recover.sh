#!/bin/sh
# Brings the copy up to the point, and ends the recovery there. What cannot be reached is a failure, never a shorter ledger.
set -eu
umask 0077
if [ ! -e /scratch/fetch.sh ]; then
    # The copy alone: it becomes whole with the log that it has in it.
    set -- -c restore_command=
else
    set -- -c 'restore_command=sh /scratch/fetch.sh %f %p' -c recovery_target_action=promote -c recovery_target_timeline=latest
    # The server knows no abbreviations of time zones here, and Z is one.
    if [ -n "$POINT" ]; then set -- "$@" -c "recovery_target_time=$(printf %s "$POINT" | sed 's/T/ /; s/Z$/+00/')"; fi
fi
# Damage just behind the point must not keep it from being reached.
[ "$(cat /target/ledger/PG_VERSION)" -lt 15 ] || set -- "$@" -c recovery_prefetch=off
postgres -D /target/ledger -c listen_addresses= -c unix_socket_directories=/tmp -c hba_file=/scratch/pg_hba.conf \
    -c ssl=off -c archive_mode=off -c log_destination=stderr -c logging_collector=off "$@" >/scratch/recovery.log 2>&1 &
server=$!
while :; do
    if ! kill -0 "$server" 2>/dev/null; then
        grep -E 'FATAL|PANIC|ERROR' /scratch/recovery.log | grep -vE 'starting up|not yet accepting' | tail -n 5 >&2
        echo "the recovery ended before its point" >&2
        exit 1
    fi
    [ "$(psql -h /tmp -U payplane_owner -d payplane -Atqc 'select pg_is_in_recovery()' 2>/dev/null)" != f ] || break
    sleep 0.2
done
pg_ctl stop -D /target/ledger -m fast -w -t "$DEADLINE" >/dev/null
