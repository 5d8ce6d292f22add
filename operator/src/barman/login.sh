#!/bin/sh
# Logs in to the bucket, with the Secret's files: nothing of it is an argument, or in the pod's description.
set -eu
bucket=/etc/payplane/bucket
for entry in access-key-id secret-access-key; do
    [ -s "$bucket/$entry" ] || { echo "the Secret with the bucket's credentials has no entry $entry" >&2; exit 1; }
done
AWS_ACCESS_KEY_ID=$(cat "$bucket/access-key-id")
AWS_SECRET_ACCESS_KEY=$(cat "$bucket/secret-access-key")
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY HOME=/tmp
if [ -s "$bucket/session-token" ]; then
    AWS_SESSION_TOKEN=$(cat "$bucket/session-token")
    export AWS_SESSION_TOKEN
fi
if [ -s "$bucket/ca.crt" ]; then export AWS_CA_BUNDLE="$bucket/ca.crt"; fi
command -v barman-cloud-restore >/dev/null || {
    echo "the servers' image has no Barman: name one in spec.postgres.operator.image of the Platform that has barman-cloud-restore" >&2
    exit 1
}
