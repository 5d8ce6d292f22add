#!/bin/sh
# Packs the running database into the scratch directory, for the step that seals it: this one has no key.
set -eu
umask 0077
login=/etc/payplane/database-owner
PGPASSWORD=$(cat "$login/password")
export PGPASSWORD PGSSLMODE=verify-full PGSSLROOTCERT="$login/ca.crt"
pg_basebackup --host="$(cat "$login/host")" --port="$(cat "$login/port")" --username="$(cat "$login/username")" \
    --no-password --pgdata=/scratch/copy --label="$BACKUP" --checkpoint=fast --wal-method=stream \
    --manifest-checksums=SHA256 --format=tar --compress=1
# What deletes the log that no copy needs has to know, without opening it, where this one's begins, and of which server.
mkdir /scratch/peek
tar -xzf /scratch/copy/base.tar.gz -C /scratch/peek backup_label global/pg_control
pg_controldata /scratch/peek | sed -n 's/^Database system identifier: *//p' >/scratch/copy/system
sed -n 's/^START WAL LOCATION: .*(file [0-9A-F]\{8\}\([0-9A-F]\{16\}\))$/\1/p' /scratch/peek/backup_label >/scratch/copy/begin
rm -rf /scratch/peek
