#!/usr/bin/env bash
# Installs what the cluster needs from the host's packages, and only what is missing.
#
# prerequisites.sh [--check]: prints each missing command with the reason it is needed, then installs the packages with
# apt-get. With --check it only prints, and fails when something is missing. A command found on PATH counts as present
# wherever it came from, so another containerd or runc on the machine is used, not replaced.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# command, Debian package, reason
NEEDS=(
  "containerd|containerd|runs the pods (the cluster starts one of its own)"
  "ctr|containerd|imports images"
  "runc|runc|starts containers"
  "iptables|iptables|kube-proxy and the CNI plugins write the node's packet rules with it"
  "ip|iproute2|makes the link between host and node"
  "openssl|openssl|makes the cluster's certificates"
  "nsenter|util-linux|enters the node's namespaces"
  "flock|util-linux|keeps two starts apart"
  "mount|mount|mounts the node's folders"
  "mmdebstrap|mmdebstrap|makes the Debian base of the images without a registry"
  "jq|jq|makes an approval's hash as docs/approvals.md does, for the end-to-end tests"
  "buildah|buildah|builds the Containerfiles without a container engine"
)

missing=() packages=()
note() { missing+=("$1: $3"); packages+=("$2"); }
for need in "${NEEDS[@]}"; do
  IFS='|' read -r command package reason <<<"$need"
  command -v "$command" >/dev/null || note "$command" "$package" "$reason"
done
if ! cni_bin_dir >/dev/null; then note "CNI plugins" containernetworking-plugins "connect the pods"; fi
if [ ! -s /etc/ssl/certs/ca-certificates.crt ]; then note "CA certificates" ca-certificates "go into the images"; fi
if [ ! -s /usr/share/keyrings/debian-archive-keyring.gpg ]; then
  note "Debian keyring" debian-archive-keyring "verifies the packages of the images"
fi

# Go is not taken from the packages: Debian's is older than what Kubernetes asks for and cannot switch.
if ! command -v go >/dev/null; then
  missing+=("go: builds Kubernetes and the other tools; install Go 1.21 or newer (it fetches the exact toolchain itself)")
  packages+=("")
fi

[ ${#missing[@]} -gt 0 ] || exit 0
for line in "${missing[@]}"; do say "missing: $line"; done
[ "${1:-}" != --check ] || exit 1
command -v go >/dev/null || die "install Go first, then run this again"
need_root "installing packages"
command -v apt-get >/dev/null || die "apt-get is not here; install the commands above by hand"
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | grep . | sort -u)
say "installing: ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# Recommended packages would bring services and network helpers nobody asked for.
apt-get install -y -q --no-install-recommends "${packages[@]}" >/dev/null
