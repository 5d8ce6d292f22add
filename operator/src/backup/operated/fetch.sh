# shellcheck shell=sh
# Comes after login.sh.
set -eu
umask 0077
fail() {
    echo "$1" >&2
    exit 1
}
mkdir -p /scratch/data /scratch/login
chmod 0700 /scratch/data
barman-cloud-restore --cloud-provider aws-s3 --endpoint-url "$ENDPOINT" "$DESTINATION" "$SERVER" "$COPY" /scratch/data
# What the copy's own settings say about other files does not hold here; all that matters comes on the command line.
cd /scratch/data
rm -f postgresql.conf postgresql.auto.conf standby.signal postmaster.pid
: >postgresql.conf
: >recovery.signal
printf 'local all all trust\nhost all all 127.0.0.1/32 trust\n' >/scratch/pg_hba.conf
for value in username=payplane_owner dbname=payplane host=127.0.0.1 port=5432 password=; do
    printf '%s' "${value#*=}" >"/scratch/login/${value%%=*}"
done
# To where it is whole and no further: what is proved is the copy, not the log of later.
postgres -D /scratch/data -c listen_addresses= -c unix_socket_directories=/tmp -c hba_file=/scratch/pg_hba.conf -c ssl=off \
    -c archive_mode=off -c hot_standby=off -c logging_collector=off -c log_destination=stderr \
    -c recovery_target=immediate -c recovery_target_timeline=current -c recovery_target_action=promote \
    -c "restore_command=barman-cloud-wal-restore --cloud-provider aws-s3 --endpoint-url '$ENDPOINT' '$DESTINATION' '$SERVER' %f %p" \
    >/tmp/recovery.log 2>&1 &
process=$!
until [ "$(psql -h /tmp -U payplane_owner -d payplane -AtqX -c 'select pg_is_in_recovery()' 2>/dev/null)" = f ]; do
    if ! kill -0 "$process" 2>/dev/null; then
        grep -E 'FATAL|PANIC|ERROR' /tmp/recovery.log | grep -vE 'starting up|not yet accepting' | tail -n 5 >&2
        fail "the copy is not whole: the log that it needs could not be replayed"
    fi
    sleep 1
done
pg_ctl stop -D /scratch/data -m fast -w >/dev/null
