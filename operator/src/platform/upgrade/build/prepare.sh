#!/bin/sh
# Begins a major upgrade, with the image of before. What an upgrade that was ended left behind is gone by now (undo.sh). Checks that
# this image is the ledger's and that the volume has room for another one, and says how to log in to both servers.
set -eu
umask 0077
fail() {
    echo "$1" >&2
    exit 1
}
there=$(cat /target/ledger/PG_VERSION)
# A volume's group rights are widened by the kubelet when it is mounted, and the server refuses such a directory.
chmod 0700 /target/ledger
here=$(postgres --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
[ "$here" = "$there" ] || fail "the ledger is of PostgreSQL $there, and the image that served it has $here"

# Without what is there twice or was deleted it will be smaller; sorting its indexes takes room, too, and so does its log.
used=$(du -sk /target/ledger | cut -f1)
needed=$((used + used / 8 + 262144))
# shellcheck disable=SC2046 # in words: the fourth is what is free
set -- $(df -Pk /target | tail -n 1)
[ "$needed" -le "$4" ] ||
    fail "the volume has $(($4 / 1024)) MiB left, and another ledger needs up to $((needed / 1024)): make spec.postgres.managed.storage.size larger"

# Until the new ledger is proved and in its place, no database starts on the volume.
: >/target/ledger.restoring
printf 'local all all trust\nhost all all 127.0.0.1/32 trust\n' >/scratch/pg_hba.conf
for server in old:5432 new:5433; do
    mkdir -p "/scratch/${server%:*}"
    for value in username=payplane_owner dbname=payplane host=127.0.0.1 "port=${server#*:}" password=; do
        printf '%s' "${value#*=}" >"/scratch/${server%:*}/${value%%=*}"
    done
done
sync
