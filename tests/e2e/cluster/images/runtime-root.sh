#!/bin/sh
# runtime-root.sh BINARY OUT: makes OUT the root folder of an image that holds one program and nothing else.
#
# OUT gets the program under /usr/bin, the loader and libraries it names, a user 65532, name resolution and the CA
# certificates. The Containerfiles of engine and operator run it in their build stage; images.sh runs it on the host.
# The C library comes from the machine that linked the program, so the two always fit.
set -eu
binary=$1 out=$2
mkdir -p "$out/usr/bin" "$out/etc/ssl/certs" "$out/tmp"
chmod 1777 "$out/tmp"
cp "$binary" "$out/usr/bin/"
ldd "$binary" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u | while read -r library; do
  mkdir -p "$out$(dirname "$library")"
  cp -L "$library" "$out$library"
done
printf '%s\n' root:x:0:0:root:/:/sbin/nologin nonroot:x:65532:65532:nonroot:/:/sbin/nologin >"$out/etc/passwd"
printf '%s\n' root:x:0: nonroot:x:65532: >"$out/etc/group"
echo 'hosts: files dns' >"$out/etc/nsswitch.conf"
cp -L /etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/"
