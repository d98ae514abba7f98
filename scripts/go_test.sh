#!/bin/bash
# The Go tests: once for all packages on the first PostgreSQL that is found, then once more on each other major version for the packages that
# use a server. Loads that meet faults are tested in a build with hooks for them (core/internal/run, tag faults). EMATIX_TEST_SERVERS=15,18 chooses the versions. Arguments go to `go test`.
set -euo pipefail
cd "$(dirname "$0")/.."

servers=$(.venv/bin/python - <<'PYTHON'
import os
import sys

sys.path.insert(0, "tests")
import fix_db

if not os.environ.get("EMATIX_TEST_DSN"):
    found = fix_db.installed_servers()
    for major in fix_db.chosen_servers(os.environ.get("EMATIX_TEST_SERVERS", "all")):
        print(major, found[major])
PYTHON
)

faults() {
	local tests
	tests=$(sed -n 's/^func \(Test[A-Za-z]*\)(.*/\1/p' core/internal/run/faults*_test.go | paste -s -d '|' -)
	go test -tags faults -timeout 20m -run "^($tests)\$" "$@" ./core/internal/run
}

packages=./...
if [ -z "$servers" ]; then
	go test "$@" $packages
	faults "$@"
	exit
fi
while read -r major programs; do
	echo "== go test on PostgreSQL $major"
	export EMATIX_TEST_PGBIN=$programs
	go test "$@" $packages
	faults "$@"
	# Only packages whose tests use a server need another round.
	packages=$(go list -f '{{.ImportPath}}:{{join .TestImports " "}} {{join .XTestImports " "}}' ./... |
		awk -F : '$2 ~ /internal\/testkit/ { print $1 }')
	[ -n "$packages" ] || break
done <<<"$servers"
