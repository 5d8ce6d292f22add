#!/bin/sh
# Deletes copies: $DOOMED names them as NAME:UID. Only a copy that carries this UID is deleted, never one that was there
# before under the same name. Then the stored log that no copy needs any more. Can be repeated after any interruption.
set -eu
for one in $DOOMED; do
    name=${one%%:*}
    uid=${one#*:}
    # These carry the UID in their names, and are there before anything else is.
    rm -f "/backups/.objects/${name:?}/${uid:?}".*
    if [ -d "/backups/.objects/$name" ]; then rmdir --ignore-fail-on-non-empty "/backups/.objects/$name"; fi
    by="/backups/.by/$name"
    if [ ! -e "$by" ] || [ "$(cat "$by")" != "$uid" ]; then continue; fi
    rm -rf "/backups/${name:?}" "/backups/${name:?}.partial"
    rm -f "$by"
done

# A sealed copy tells both beside. One that does not keeps all of the log: an empty line comes before every segment.
told() { printf '%s\n' "$(sed -n "s/.*\"$2\":\"\([0-9A-F]*\)\".*/\1/p" "$1/about.json")"; }
system_of() { if [ -e "$1/about.json" ]; then told "$1" system; else plain_system_of "$1"; fi; }
begin_of() { if [ -e "$1/about.json" ]; then told "$1" begin; else plain_begin_of "$1"; fi; }
plain_system_of() { pg_controldata "$1" | sed -n 's/^Database system identifier: *//p'; }
# The segment that a copy begins with, without its timeline.
plain_begin_of() { sed -n 's/^START WAL LOCATION: .*(file [0-9A-F]\{8\}\([0-9A-F]\{16\}\))$/\1/p' "$1/backup_label"; }

for log in /backups/wal/*/*; do
    [ -d "$log" ] || continue
    needed=$(for copy in /backups/*/; do
        if [ ! -e "$copy/backup_label" ] && [ ! -e "$copy/about.json" ]; then continue; fi
        if [ "$(system_of "$copy")" != "${log##*/}" ]; then continue; fi
        begin_of "$copy"
    done | sort | head -n 1)
    # Without any copy the log is no use, but it is not this Job's to say so.
    [ -n "$needed" ] || continue
    for segment in "$log"/*.gz "$log"/*.gz.age; do
        place=$(basename "$segment" | sed -n 's/^[0-9A-F]\{8\}\([0-9A-F]\{16\}\)[.].*$/\1/p')
        [ -n "$place" ] || continue
        if [ "$(printf '%s\n%s\n' "$place" "$needed" | sort | head -n 1)" != "$needed" ]; then rm -f "$segment"; fi
    done
done
sync
