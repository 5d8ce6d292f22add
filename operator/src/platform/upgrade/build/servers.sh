#!/bin/sh
# Two servers that serve this pod alone: OLD and NEW say how to connect to them, DATABASE is in both. The steps go on from here.
set -eu
umask 0077
export PGTZ=UTC
fail() {
    echo "$1" >&2
    exit 1
}
ask() { psql -AtqX -v ON_ERROR_STOP=1 -d "$@"; }
old() { echo "$OLD dbname=${1:-$DATABASE}"; }
new() { echo "$NEW dbname=${1:-$DATABASE}"; }
