#!/bin/sh
# Copies the running database into a directory of its own. Nothing that is there is ever overwritten.
set -eu
umask 0077
copy="/backups/$BACKUP"
if [ -e "$copy" ]; then
    echo "the volume holds a copy of this name already; it is left alone: create a Backup of another name" >&2
    exit 1
fi
# Whose copy it is, for whoever deletes it: the name alone would not tell a copy from one that was there before.
mkdir -p /backups/.by
printf '%s' "$BACKUP_UID" >"/backups/.by/$BACKUP"
login=/etc/payplane/database-owner
PGPASSWORD=$(cat "$login/password")
export PGPASSWORD PGSSLMODE=verify-full PGSSLROOTCERT="$login/ca.crt"
rm -rf "$copy.partial"
pg_basebackup --host="$(cat "$login/host")" --port="$(cat "$login/port")" --username="$(cat "$login/username")" \
    --no-password --pgdata="$copy.partial" --label="$BACKUP" --checkpoint=fast --wal-method=stream \
    --manifest-checksums=SHA256
pg_verifybackup --quiet "$copy.partial"
sync
mv "$copy.partial" "$copy"
sync
printf '{"bytes":%s}' "$(du -sb "$copy" | cut -f1)" >/dev/termination-log
