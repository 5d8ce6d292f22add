#!/usr/bin/env bash
# Stops the local cluster and removes everything it made except the cache. Running it again is harmless.
#
# Order: end the node's first process, which takes every program, container, mount, link and packet rule of the node
# with it; remove its control groups; remove the folders it mounted on; remove the state folder.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

quiet=${1:-}
if [ "$quiet" != --quiet ] && foreign_cluster; then
  say "$(foreign_reason): that cluster is not ours to stop; unset it to stop the local one"
  exit 0
fi
need_root "stopping the local cluster"
take_lock
[ -e "$STATE" ] || { [ "$quiet" = --quiet ] || say "not running, nothing to remove"; exit 0; }
[ -e "$STATE_MARK" ] || die "$STATE was not made by up.sh; not deleting it"

no_link() { ! ip link show "$HOST_LINK"; }
if pid=$(init_pid); then
  kill -KILL "$pid"
  gone() { ! init_pid; }
  wait_until 30 gone || die "process $pid does not end"
  # The kernel takes the namespaces apart a moment after their last process; a shell that was started inside the node
  # by hand would keep them.
  if ! wait_until 5 no_link; then ip link del "$HOST_LINK" || true; fi
fi

remove_cgroups() {
  local dir
  for dir in "/sys/fs/cgroup/$CGROUP" /sys/fs/cgroup/*/"$CGROUP"; do
    [ ! -d "$dir" ] || find "$dir" -depth -type d -exec rmdir {} + || return 1
  done
}
# While the link exists, a cluster with another state folder runs and the groups are its own.
if no_link >/dev/null 2>&1 && ! wait_until 10 remove_cgroups; then
  say "some control groups named $CGROUP remain under /sys/fs/cgroup"
fi

if [ -e "$STATE/made-dirs" ]; then
  while read -r dir; do rmdir "$dir" 2>/dev/null || true; done <"$STATE/made-dirs"
fi
# Nothing of the node is mounted in the host's namespace; the option keeps a mount someone added by hand from being
# emptied.
rm -rf --one-file-system "$STATE"
[ "$quiet" = --quiet ] || say "stopped and removed; the cache stays in $CACHE"
