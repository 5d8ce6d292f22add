#!/bin/sh
# Stores one segment of the log: $1 is its path, $2 its name. The server keeps it and comes again until this succeeds.
# What is stored is never overwritten. Compressed files carry a checksum of what is in them, which a restore checks.
set -eu
umask 0077
# A ledger that was made anew has segments of the same names.
system=$(pg_controldata "$PGDATA" | sed -n 's/^Database system identifier: *//p')
folder="/backups/wal/$PLATFORM/$system"
if [ -e "$folder/$2.gz" ]; then
    # Stored just before a crash, and not noted.
    gzip -dc "$folder/$2.gz" | cmp -s - "$1" && exit 0
    echo "another segment $2 is stored already; it is left alone" >&2
    exit 1
fi
mkdir -p "$folder"
gzip -1 -n -c "$1" >"$folder/.$2.partial"
sync "$folder/.$2.partial"
mv "$folder/.$2.partial" "$folder/$2.gz"
sync "$folder"
