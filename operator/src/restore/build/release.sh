#!/bin/sh
# The ledger is proved: a database may start on the volume.
set -eu
rm -f /target/ledger.restoring
sync
