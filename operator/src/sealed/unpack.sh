#!/bin/sh
# Makes a directory of an opened copy, as if it had never been packed. One that never was is left as it is.
set -eu
umask 0077
copy="/backups/$BACKUP"
[ -e "$copy/base.tar.gz" ] || exit 0
# A server starts on no other.
chmod 0700 "$copy"
tar -xzf "$copy/base.tar.gz" -C "$copy"
mkdir -p "$copy/pg_wal"
tar -xzf "$copy/pg_wal.tar.gz" -C "$copy/pg_wal"
rm -f "$copy/base.tar.gz" "$copy/pg_wal.tar.gz"
