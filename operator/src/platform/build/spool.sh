#!/bin/sh
# Hands one segment of the log to the container that seals it, and waits until it is stored: $1 is its path, $2 its name. The
# server keeps it and comes again until this succeeds, so that no segment counts as stored that is only handed over.
set -eu
umask 0077
# A ledger that was made anew has segments of the same names.
system=$(pg_controldata "$PGDATA" | sed -n 's/^Database system identifier: *//p')
stem="/spool/$system.$2"
rm -f "$stem.done" "$stem.failed"
gzip -1 -n -c "$1" >"/spool/.$system.$2.partial"
mv "/spool/.$system.$2.partial" "$stem.gz"
left=600
while [ "$left" -gt 0 ]; do
    if [ -e "$stem.done" ]; then
        rm -f "$stem.gz" "$stem.done"
        exit 0
    fi
    if [ -e "$stem.failed" ]; then
        cat "$stem.failed" >&2
        echo >&2
        rm -f "$stem.gz" "$stem.failed"
        exit 1
    fi
    left=$((left - 1))
    sleep 0.1
done
rm -f "$stem.gz"
echo "segment $2 was not stored within a minute: look at the container store-log" >&2
exit 1
