#!/bin/sh
# A PostgreSQL server for tests, used by tests/fix_db.py and core/internal/testkit.
#
#   cluster.sh BIN [SETTING=VALUE ...]
#
# makes a cluster in a temporary folder with the programs of the folder BIN, starts it, prints one line
#
#   ready FOLDER PORT PASSWORD
#
# (FOLDER holds the Unix socket; PORT is on 127.0.0.1 as well; the superuser is `tester`) and lives until its standard input ends. So the
# server never outlives the tests, even when they are killed. As root, the server runs as an unprivileged user that is there already.
set -eu
bin=$1
shift
unset PGDATA PGHOST PGPORT PGUSER PGPASSWORD PGOPTIONS PGSERVICE PGSERVICEFILE PGTZ PGCTLTIMEOUT TZ 2>/dev/null || :
LC_ALL=C
export LC_ALL
umask 077
cd /

home=$(mktemp -d /tmp/ematix-test-XXXXXX) # short: the path of a Unix socket has 103 bytes at most
trap '' INT                               # Ctrl-C reaches the whole process group: the tests decide when the server ends
trap 'exit 1' TERM HUP
trap stop EXIT

as_server() { "$@"; }
if [ "$(id -u)" = 0 ]; then
	for owner in postgres nobody; do id "$owner" >/dev/null 2>&1 && break; done
	as_server() { setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups "$@"; }
fi

stop() {
	as_server "$bin/pg_ctl" stop -s -m immediate -D "$home/data" >/dev/null 2>&1 || :
	rm -rf "$home"
}

if [ "$(id -u)" = 0 ]; then
	chown "$owner" "$home"
	# Programs below a private folder (a venv in root's home) are copied, with the libraries that lie beside the package.
	if ! as_server test -r "$bin" || ! as_server "$bin/initdb" --version >/dev/null 2>&1; then
		install=$(dirname "$bin")
		mkdir -p "$home/site/package"
		cp -R "$install" "$home/site/package/install"
		for libraries in "$install"/../../*.libs; do [ ! -d "$libraries" ] || cp -R "$libraries" "$home/site/"; done
		chown -R "$owner" "$home/site"
		bin=$home/site/package/install/bin
	fi
fi

password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
printf '%s\n' "$password" >"$home/password"
[ "$(id -u)" != 0 ] || chown "$owner" "$home/password"
as_server "$bin/initdb" -D "$home/data" -U tester --pwfile "$home/password" --auth scram-sha-256 --encoding UTF8 --locale C \
	--no-sync --no-instructions >"$home/initdb.log" 2>&1 || { cat "$home/initdb.log" >&2; exit 1; }

settings=
for setting in fsync=off synchronous_commit=off full_page_writes=off max_prepared_transactions=4 shared_buffers=64MB "$@"; do
	settings="$settings -c $setting"
done
for attempt in 1 2 3 4 5 6 7 8 9 10; do
	port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 40000))
	if as_server "$bin/pg_ctl" start -s -w -D "$home/data" -l "$home/data/server.log" \
		-o "-c listen_addresses=127.0.0.1 -p $port -k $home $settings" >&2; then
		echo "ready $home $port $password"
		cat >/dev/null
		exit 0
	fi
done
cat "$home/data/server.log" >&2
exit 1
