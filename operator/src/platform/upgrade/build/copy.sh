#!/bin/sh
# Copies the database into the server of the other version, with that one's programs. Nobody writes to the old one.
#
# In this order: logins with their passwords; the schema; the rows, which pass through no file; then keys, indexes and rights, several at
# once. Indexes are built anew, because texts may be sorted otherwise by the new image's libraries.
# load INTO COMMAND...: has the new server do what the command prints. A shell forgets how the left side of a pipe ended.
load() {
    into=$1
    shift
    rm -f /scratch/whole
    { "$@" && : >/scratch/whole; } | ask "$(new "$into")" -o /dev/null
    [ -e /scratch/whole ] || fail "the old server could not be read to its end"
}
owner=$(ask "$(new postgres)" -c 'select current_user')
# The owner is there: it made the new server.
logins() { pg_dumpall -d "$(old)" --globals-only --file=/scratch/logins && sed "s/^CREATE ROLE $owner;\$//" /scratch/logins; }
part() { pg_dump -d "$(old)" "$@"; }

have=$(ask "$(new postgres)" -c "select current_setting('server_version_num')::int / 10000")
[ "$have" = "$TO" ] || fail "the image has PostgreSQL $have, and spec.postgres.managed.upgrade.to is $TO"

load postgres logins
# One of that name is there, and empty.
load postgres part --create --clean --if-exists --section=pre-data
load "$DATABASE" part --section=data
part --section=post-data --format=custom --file=/scratch/rest
pg_restore -d "$(new)" --exit-on-error --jobs=4 /scratch/rest
ask "$(new)" -c analyze

ask "$(new)" -c checkpoint
rm -f /scratch/logins /scratch/rest
