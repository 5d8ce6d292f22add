#!/usr/bin/env bash
# Everything that can be wrong without running the program, one line each: format, clippy, licences and sources,
# generated files, shell scripts. Ends with the counts.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1
# Kept in step with the configuration in deny.toml.
DENY_VERSION=0.20.2

# Licences, banned crates and sources. Advisories need a database that not every machine can fetch: they are checked
# where it can be.
deny() {
  local bin=$CACHE/cargo-deny/$DENY_VERSION/bin/cargo-deny
  if [ ! -x "$bin" ]; then
    say "building cargo-deny $DENY_VERSION, some minutes the first time"
    # Nobody debugs it: without what a debugger needs it is built sooner.
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root "$CACHE/cargo-deny/$DENY_VERSION" "cargo-deny@$DENY_VERSION" || return 1
  fi
  "$bin" --log-level error check bans licenses sources
}

shell_scripts() {
  git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck --external-sources --source-path=SCRIPTDIR
}

no_machine_paths() {
  ! git grep -nE '/(root|work)/' -- ':!tests/lint.sh' ':!*.lock' ':!*.sum'
}

need_rust
need_package shellcheck shellcheck "checks the shell scripts"
check "format" cargo fmt --all --check
check "clippy" cargo clippy --quiet --workspace --all-targets --locked -- --deny warnings
check "licences, bans and sources" deny
check "shell scripts" shell_scripts
check "no paths of one machine" no_machine_paths
verdict
