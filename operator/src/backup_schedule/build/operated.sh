# shellcheck shell=sh
# Comes after login.sh.
set -eu
printf '%s\n' "$COPIES" | while read -r destination server copy; do
    [ -n "$copy" ] || continue
    barman-cloud-backup-delete --cloud-provider aws-s3 --endpoint-url "$ENDPOINT" --backup-id "$copy" "$destination" "$server"
done
