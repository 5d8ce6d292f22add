#!/bin/sh
# Brings the copy up to the point, and ends the recovery there. What cannot be reached is a failure, never a shorter ledger.
#
# A sequence is the number of a seal. The log knows transactions only, in the order in which they were committed, and that is
# not the order of the seals. So the copy is recovered twice: to the end of the log, to learn which batches have seals up to
# that number and which transactions wrote them; and to the first moment at which all of these batches are there. The seals
# themselves come later in the log than their batches. They are put back as they were, and the next steps prove them.
set -eu
umask 0077
fail() {
    echo "$1" >&2
    exit 1
}
# How many seals back a batch of another one can have been committed late: twice what is sealed at once.
window=2000
# How often the moment is moved on. Each time takes one start of the server; more than a few batches are never in the air.
tries=20

ask() { psql -h /tmp -U payplane_owner -d payplane -AtqX -v ON_ERROR_STOP=1 "$@"; }

start() {
    # Damage just behind the point must not keep it from being reached.
    [ "$(cat "$LEDGER"/PG_VERSION)" -lt 15 ] || set -- "$@" -c recovery_prefetch=off
    postgres -D "$LEDGER" -c listen_addresses= -c unix_socket_directories=/tmp -c hba_file=/scratch/pg_hba.conf \
        -c ssl=off -c archive_mode=off -c log_destination=stderr -c logging_collector=off \
        -c recovery_target_timeline=latest "$@" >/scratch/recovery.log 2>&1 &
    server=$!
}

stop() { pg_ctl stop -D "$LEDGER" -m fast -w -t "$DEADLINE" >/dev/null; }

# Waits until the recovery stands (1) or has ended (0), and says which.
stands="select case when not pg_is_in_recovery() then 0 when pg_get_wal_replay_pause_state() = 'paused' then 1 end"
arrive() {
    while :; do
        if ! kill -0 "$server" 2>/dev/null; then
            if [ -n "$SEQUENCE" ] && grep -qE 'before configured recovery target|before consistent recovery point' /scratch/recovery.log; then
                fail "seal $SEQUENCE is of before the copy was complete: name an older Backup, or a later point.sequence, or restore the copy alone with point.copy"
            fi
            grep -E 'FATAL|PANIC|ERROR' /scratch/recovery.log | grep -vE 'starting up|not yet accepting' | tail -n 5 >&2
            fail "the recovery ended before its point"
        fi
        arrived=$(ask -c "$stands" 2>/dev/null) || arrived=
        [ -z "$arrived" ] || return 0
        sleep 0.2
    done
}

# The transactions of these batches that are not there, the last first.
missing() {
    batches=$(cut -f2 /scratch/seals | paste -sd, -)
    transactions=$(cut -f5 /scratch/seals | paste -sd, -)
    echo "select k.xid from unnest('{$batches}'::bigint[], '{$transactions}'::text[]) with ordinality as k (batch, xid, place)
          where not exists (select from payplane.batches b where b.batch_id = k.batch) order by k.place desc;" | ask
}

# Puts the seals back that came later in the log than the batches. A gap is an error: then the window was too small.
seal() {
    {
        echo "begin; create temp table known (seal bigint, batch_id bigint, link text, sealed_us bigint, xid text) on commit drop;"
        echo "copy known from stdin;"
        cat /scratch/seals
        printf '%s\n' '\.'
        echo "delete from known k using payplane.seal_head h where k.seal <= h.seal;
              do \$\$ begin
                  if (select count(*) from known) <> $SEQUENCE - (select h.seal from payplane.seal_head h) then
                      raise exception 'the sealer was too far behind';
                  end if;
              end \$\$;
              insert into payplane.seals (seal, batch_id, link, sealed_us)
              select k.seal, k.batch_id, decode(k.link, 'hex'), k.sealed_us from known k;
              delete from payplane.unsealed u using known k where u.batch_id = k.batch_id;
              update payplane.seal_head h set seal = k.seal, link = decode(k.link, 'hex')
              from known k where k.seal = $SEQUENCE;
              commit;"
    } | ask
}

if [ ! -e /scratch/fetch.sh ]; then
    # The copy alone: it becomes whole with the log that it has in it.
    start -c restore_command=
    arrive
elif [ -z "$SEQUENCE" ]; then
    set -- -c 'restore_command=sh /scratch/fetch.sh %f %p' -c recovery_target_action=promote
    # The server knows no abbreviations of time zones here, and Z is one.
    if [ -n "$POINT" ]; then set -- "$@" -c "recovery_target_time=$(printf %s "$POINT" | sed 's/T/ /; s/Z$/+00/')"; fi
    start "$@"
    arrive
else
    # As far as the log goes without a gap and without damage: what comes after the sequence need not be there.
    start -c 'restore_command=sh /scratch/fetch.sh %f %p || exit 1'
    arrive
    head=$(ask -c "select seal from payplane.seal_head")
    [ "$SEQUENCE" -le "$head" ] || fail "the copy, and the log after it as far as it has no gap, end with seal $head: name a point.sequence of at most $head, or leave it out"
    ask -c "copy (select s.seal, s.batch_id, encode(s.link, 'hex'), s.sealed_us, b.xmin::text
                  from payplane.seals s join payplane.batches b on b.batch_id = s.batch_id
                  where s.seal between $SEQUENCE - $window + 1 and $SEQUENCE order by s.seal) to stdout" >/scratch/seals
    stop
    rm -rf "$LEDGER"
    mkdir "$LEDGER"
    chmod 0700 "$LEDGER"
    cp -a "/backups/$BACKUP/." "$LEDGER"/
    rm -f "$LEDGER"/backup_manifest
    : >"$LEDGER/recovery.signal"

    target=$(tail -n 1 /scratch/seals | cut -f5)
    while :; do
        start -c 'restore_command=sh /scratch/fetch.sh %f %p' -c "recovery_target_xid=$target" -c recovery_target_action=pause
        arrive
        late=$(missing)
        [ -n "$late" ] || break
        tries=$((tries - 1))
        if [ "$arrived" = 0 ] || [ "$tries" = 0 ]; then fail "batches up to seal $SEQUENCE are not there when its own was committed"; fi
        target=$(echo "$late" | head -n 1)
        stop
    done
    if [ "$arrived" = 1 ]; then
        ask -c "select pg_wal_replay_resume()" >/dev/null
        while [ "$arrived" = 1 ]; do arrive; done
    fi
    seal
    ask -c "select json_build_object('later', count(*)) from payplane.unsealed" >/dev/termination-log
fi
stop
