#!/bin/sh
# Checks the copy and the stored log after it, and lays the copy out where the ledger will be. Nothing is overwritten.
set -eu
umask 0077
copy="/backups/$BACKUP"
fail() {
    echo "$1" >&2
    exit 1
}
[ -e "$copy/PG_VERSION" ] || fail "the volume has no copy $BACKUP: its Backup was made with another volume, or somebody deleted it"
here=$(postgres --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
there=$(cat "$copy/PG_VERSION")
[ "$here" = "$there" ] || fail "the copy is of PostgreSQL $there, the image has $here: use an image of version $there"
pg_verifybackup --quiet "$copy"

[ ! -e "$LEDGER" ] || fail "the volume holds a ledger already; it is left alone"
# Until everything is proved no database starts on it.
: >/target/ledger.restoring

system=$(pg_controldata "$copy" | sed -n 's/^Database system identifier: *//p')
log="/backups/wal/$PLATFORM/$system"
begin=$(sed -n 's/^START WAL LOCATION: .*(file [0-9A-F]\{8\}\([0-9A-F]\{16\}\))$/\1/p' "$copy/backup_label")
[ -n "$begin" ] || fail "the copy does not say where its log begins"
# One that cannot be read would pass for the end, too.
if [ "$LOG" = replay ] && [ -d "$log" ] && [ -n "$(find "$log" -name '*.gz.age' | head -n 1)" ]; then
    fail "the stored log is sealed: name the Secret with its keys in spec.encryption"
fi
# A server that finds no segment takes the log to end there, so without a moment to reach a gap would pass for the end: then
# every segment since the copy must be there, and whole. A place is sixteen digits: the upper half, and one of 256 in it.
check_all() {
    expected=
    for place in $(find "$log" -name '*.gz' -exec basename {} .gz \; |
        sed -n 's/^[0-9A-F]\{8\}\([0-9A-F]\{16\}\)$/\1/p' | sort -u); do
        [ "$(printf '%s\n%s\n' "$place" "$begin" | sort | head -n 1)" = "$begin" ] || continue
        number=$((0x$(printf %s "$place" | cut -c1-8) * 256 + 0x$(printf %s "$place" | cut -c9-16)))
        if [ -z "$expected" ]; then
            [ "$place" = "$begin" ] || fail "segment $begin of the log is missing: only the copy alone can be restored, with point.copy"
        else
            [ "$number" = "$expected" ] || fail "a segment of the log before $place is missing: restore to a moment before it with point.time"
        fi
        expected=$((number + 1))
        for segment in "$log"/????????"$place".gz; do
            gzip -tq "$segment" 2>/dev/null || fail "segment $(basename "$segment" .gz) of the log is damaged: restore to a moment before it with point.time"
        done
    done
}
if [ -n "$POINT$SEQUENCE" ] && [ ! -d "$log" ]; then
    fail "the Platform stored no log for this copy, so there is nothing between copies: leave point.time and point.sequence out"
fi
if [ "$LOG" = replay ] && [ -z "$POINT$SEQUENCE" ] && [ -d "$log" ]; then check_all; fi

mkdir -p "$LEDGER" /scratch/login
chmod 0700 "$LEDGER"
cp -a "$copy/." "$LEDGER"/
rm -f "$LEDGER"/backup_manifest

# What the copy's own settings say about other files does not hold here; all that matters comes on the command line.
printf 'local all all trust\nhost all all 127.0.0.1/32 trust\n' >/scratch/pg_hba.conf
for value in username=payplane_owner dbname=payplane host=127.0.0.1 port=5432 password=; do
    printf '%s' "${value#*=}" >"/scratch/login/${value%%=*}"
done
# The engine's container runs as the same user; the password of the copy is not needed where only this pod connects.
if [ "$LOG" = replay ] && [ -d "$log" ]; then
    # shellcheck disable=SC2016 # the script that is written expands its own arguments
    printf '#!/bin/sh\n# Damage ends the recovery (above 125); absence is the end of the log.\n[ -e "%s/$1.gz" ] || exit 1\ngzip -dc "%s/$1.gz" >"$2" || exit 200\n' "$log" "$log" >/scratch/fetch.sh
    : >"$LEDGER/recovery.signal"
fi
sync
