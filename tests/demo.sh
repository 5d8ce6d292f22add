#!/usr/bin/env bash
# The demo as a test: it tells its story, telling it again changes nothing, and README shows the same commands. Ends with
# the counts.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1

again_without_change() {
  local story
  story=$(tests/e2e/demo.sh) || return 1
  ! grep -E ' (created|configured|deleted)$' <<<"$story"
}

# README's commands on objects are the demo's, so that whoever types them sees what was tested.
# shellcheck disable=SC2016  # patterns and the text of a variable, not its value
readme_shows_the_demo() {
  local demo missing
  demo=$(sed -e 's/^run //' -e 's|\$QUICKSTART|examples/quickstart|g' -e 's/ --timeout=.*//' tests/e2e/demo.sh)
  missing=$(sed -n '/^```sh$/,/^```$/p' README.md | grep '^kubectl' | sed 's/ --timeout=.*//' |
    grep -vxFf <(printf '%s\n' "$demo"))
  [ -z "$missing" ] || { say "only in README: $missing"; return 1; }
}

documents_name_real_verbs() {
  local verb
  while read -r verb; do
    grep -qE "^$verb:" Makefile || { say "no such verb: make $verb"; return 1; }
  done < <(grep -ohE 'make [a-z-]+' README.md CONTRIBUTING.md tests/e2e/cluster/README.md | cut -d' ' -f2 | sort -u)
}

check "the demo" tests/e2e/demo.sh
check "the demo again, without a change" again_without_change
check "README shows the demo's commands" readme_shows_the_demo
check "documents name real verbs" documents_name_real_verbs
verdict
