#!/bin/sh
# Makes a scratch database out of the copy, reachable from this pod alone, and says how to log in to it.
set -eu
umask 0077
pg_verifybackup --quiet "/backups/$BACKUP"
mkdir -p /scratch/data /scratch/login
cp -a "/backups/$BACKUP/." /scratch/data/
chmod 0700 /scratch/data
echo 'host all all 127.0.0.1/32 scram-sha-256' >/scratch/pg_hba.conf
for value in username password dbname; do
    cat "/etc/payplane/database-owner/$value" >"/scratch/login/$value"
done
echo 127.0.0.1 >/scratch/login/host
echo 5432 >/scratch/login/port
