#!/bin/sh
# A Restore in place failed: what was is brought back, and nothing is left of what should have come. Can be repeated, and ended
# anywhere: the mark that keeps a database from starting goes last.
set -eu
if [ -e "$KEPT" ]; then
    if [ -e /target/ledger ]; then mv /target/ledger "$LEDGER"; fi
    mv "$KEPT" /target/ledger
    sync
fi
rm -rf "$LEDGER"
sync
rm -f /target/ledger.restoring
sync
