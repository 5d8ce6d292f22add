#!/bin/sh
# Prepares the volume of the ledger, once. Runs before every start of the server.
# A crash at any point leaves either no database or a complete one: everything is made beside, then renamed.
set -eu
umask 0077

if [ -e "$PGDATA.restoring" ]; then
    echo "a Restore fills this volume and has not succeeded: wait for it, or delete the volume and restore again" >&2
    exit 1
fi
if [ -s "$PGDATA/PG_VERSION" ]; then
    # A volume's group rights are widened by the kubelet when it is mounted, and the server refuses such a directory.
    chmod 0700 "$PGDATA"
    exit 0
fi
if [ -e "$PGDATA" ] && ! rmdir "$PGDATA"; then
    echo "$PGDATA holds something that is no database; it is left alone" >&2
    exit 1
fi

rm -rf "$PGDATA.new"
initdb --pgdata="$PGDATA.new" --username=payplane_owner --pwfile=/etc/payplane/database-owner/password \
    --auth-host=scram-sha-256 --auth-local=scram-sha-256 --data-checksums --encoding=UTF8 --locale=C.UTF-8
echo 'CREATE DATABASE payplane;' | postgres --single -D "$PGDATA.new" postgres
sync
mv "$PGDATA.new" "$PGDATA"
sync
