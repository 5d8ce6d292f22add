#!/bin/sh
# The ledger is proved: a database may start on the volume. In place it first takes the place of the one that is there, which is
# kept; whatever ends this in between, undo.sh brings back what was.
set -eu
if [ -n "$KEPT" ]; then
    # What is not there is kept as what it is: an empty folder, on which a database begins anew.
    if [ -e /target/ledger ]; then mv /target/ledger "$KEPT"; else mkdir "$KEPT"; fi
    sync
    mv "$LEDGER" /target/ledger
    sync
fi
rm -f /target/ledger.restoring
sync
