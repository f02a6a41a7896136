#!/usr/bin/env bash
# How many seconds it takes somebody who has nothing yet, from `sallyport psql shop` to the first row, at a demo that runs: a home with
# nothing in it, a provider that asks nothing, and a browser that is quick. The evals' identity.login_first_row.seconds is the same
# against a gateway of their own.
#
#   scripts/first-row.sh [URL of the web door]
#
# SALLYPORT names the program; bin/sallyport where it does not.
set -euo pipefail
gateway=${1:-http://127.0.0.1:6545}
program=${SALLYPORT:-bin/sallyport}
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
display=
if command -v curl >/dev/null; then # else a code is shown and polled for, which takes a second more
	printf '#!/bin/sh\nexec curl -sL -o /dev/null "$1"\n' >"$home/xdg-open"
	chmod +x "$home/xdg-open"
	display=:0
fi
coproc psql (env -u XDG_CONFIG_HOME -u SSH_CONNECTION -u SSH_TTY -u WAYLAND_DISPLAY HOME="$home" DISPLAY="$display" PATH="$home:$PATH" \
	"$program" psql --gateway "$gateway" shop -XAtc 'SELECT id FROM customers ORDER BY id LIMIT 1' 2>"$home/said")
began=$EPOCHREALTIME running=$psql_PID
read -r row <&"${psql[0]}" || row=
ended=$EPOCHREALTIME
if [ "$row" != 1 ]; then
	cat "$home/said" >&2
	echo "no row came: does a demo run at $gateway?" >&2
	exit 1
fi
wait "$running" || true
awk -v a="$began" -v b="$ended" 'BEGIN { printf "%.2f\n", b - a }'
