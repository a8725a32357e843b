#!/usr/bin/env bash
# Requests that Schemathesis makes up from the OpenAPI document, sent to a server with demo
# data: both what the document allows and what it forbids. Fails when server and document
# disagree.
#
# Needs Python 3.10 or newer with venv. Schemathesis is installed from PyPI, once, into the
# target directory. Further arguments go to `schemathesis run`, for instance
# `--max-examples 1000` or `--seed 42`. CARGO_TARGET_DIR is respected.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=4.32.5
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-$PWD/target}")
venv="$target_dir/schemathesis-$version"
here="$PWD/tests/schemathesis"

if [ ! -x "$venv/bin/schemathesis" ]; then
    echo "==> install schemathesis $version into $venv" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
fi

cargo build --locked --bin purser
work=$(mktemp -d)
server=
clean_up() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

(cd "$work" && exec "$target_dir/debug/purser" serve --demo --shards 2 \
    --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 >said 2>log) &
server=$!
address_of() {
    sed -n "s|^$1 API *||p" "$work/said" 2>/dev/null
}
for _ in $(seq 200); do
    [ -n "$(address_of admin)" ] && break
    sleep 0.1
done
wallet=$(address_of wallet)
admin=$(address_of admin)
if [ -z "$wallet" ] || [ -z "$admin" ]; then
    cat "$work/said" "$work/log" >&2
    exit 1
fi

export SCHEMATHESIS_HOOKS=hooks
export PYTHONPATH="$here"
export PURSER_DEMO_ACCOUNTS="$work/purser-data/demo-accounts.json"
# What Schemathesis leaves behind goes with the directory that it is run in.
cd "$work"
status=0
run() {
    local api=$1 url=$2
    shift 2
    echo "==> the $api API at $url" >&2
    "$venv/bin/schemathesis" --config-file "$here/$api.toml" run "$admin/openapi.json" \
        --url "$url" "$@" || status=1
}
run wallet "$wallet" --include-path-regex '^/(v1\.0/|healthz$)' "$@"
# The live stream has no end to wait for; tests/dashboard.rs reads it.
run admin "$admin" --exclude-path-regex '^/(v1\.0/|admin/v1/live$)' "$@"

if grep -E 'ERROR|panicked' "$work/log" >&2; then
    echo "the server logged errors" >&2
    status=1
fi
exit "$status"
