#!/bin/bash
# Tries the image's contents and the seccomp profile with podman: packaging/container/try.sh BINARY
#
# The image is made here of BINARY as the Containerfile's last stage makes it, so that no
# other image needs to be fetched; where BINARY is not static, of its libraries too. What the
# first stage does (the build) is not tried. Needs root, podman and curl; OCI_RUNTIME names
# another runtime than podman's own choice.
set -euo pipefail
cd "$(dirname "$0")"

binary=$(realpath "$1")
work=$(mktemp -d /tmp/purser-try-container.XXXXXX)
name=purser-try-$$
port=19816
admin=19817

clean() {
    podman rm --force --time 2 "$name" >/dev/null 2>&1 || true
    podman rmi --force "localhost/$name" >/dev/null 2>&1 || true
    podman volume rm "$name" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean EXIT

fail() {
    podman logs "$name" 2>&1 | tail -n 20 || true
    echo "FAILED: $*" >&2
    exit 1
}

image=$work/image
install -D -m 0755 "$binary" "$image/usr/bin/purser"
install -d -m 0700 -o 65532 -g 65532 "$image/var/lib/purser"
install -d "$image/etc/purser"
install -d -m 1777 "$image/tmp"
if libraries=$(ldd "$binary" 2>/dev/null); then
    # None in a static one, which ldd says in words.
    { echo "$libraries" | grep -o '/[^ ]*' || true; } | while read -r library; do
        install -D "$library" "$image$library"
    done
fi
tar -C "$image" -c . | podman import --change USER=65532:65532 \
    --change WORKDIR=/var/lib/purser --change 'ENTRYPOINT ["/usr/bin/purser"]' - \
    "localhost/$name" >/dev/null

cat >"$work/purser.toml" <<'TOML'
data_dir = "/var/lib/purser"
shards = 2
[listen]
wallet = "0.0.0.0:19816"
admin = "0.0.0.0:19817"
[limits]
max_connections = 1000
[admin]
token = "token-of-the-trial"
[[domain]]
name = "acme"
currency = "EUR"
credentials = [{ user = "gateway", password = "password-of-the-trial" }]
TOML
chmod 0644 "$work/purser.toml"

# Less than podman asks for by itself, which a small sandbox may not give.
limits=(--ulimit nofile=4096 --ulimit nproc=1024)

# With the machine's network, so that no other part of podman is needed.
start() {
    podman ${OCI_RUNTIME:+--runtime "$OCI_RUNTIME"} --cgroup-manager cgroupfs run --detach --name "$name" --network host --security-opt "seccomp=$1" \
        --security-opt no-new-privileges --cap-drop all --read-only "${limits[@]}" \
        --volume "$name:/var/lib/purser" --volume "$work/purser.toml:/etc/purser/purser.toml:ro" \
        "localhost/$name" serve --config /etc/purser/purser.toml >/dev/null
}

echo "==> with the profile"
start "$PWD/seccomp.json"
for _ in $(seq 100); do
    curl -fsS "http://127.0.0.1:$admin/readyz" >/dev/null 2>&1 && break
    sleep 0.1
done
curl -fsS "http://127.0.0.1:$admin/readyz" || fail "not ready"
echo
curl -fsS -X PUT -H 'Authorization: Bearer token-of-the-trial' -H 'Content-Type: application/json' \
    "http://127.0.0.1:$admin/admin/v1/accounts/acme/p1" -d '{"CountryCode":"DE"}' || fail "no account"
echo
curl -fsS -u gateway:password-of-the-trial -H 'Content-Type: application/json' \
    "http://127.0.0.1:$port/v1.0/balance" \
    -d '{"PlatformKey":"x","Sequence":"1","Timestamp":"2026-01-01T00:00:00Z","OperatorAccountID":"acme/p1"}' ||
    fail "no balance"
echo
podman exec "$name" /usr/bin/purser verify --data-dir /var/lib/purser >/dev/null || fail "verify"
podman exec "$name" /usr/bin/purser debug-bundle --config /etc/purser/purser.toml \
    --out /var/lib/purser/bundle.tar.gz || fail "debug-bundle"
podman kill --signal HUP "$name" >/dev/null
podman stop --time 20 "$name" >/dev/null
[ "$(podman inspect --format '{{.State.ExitCode}}' "$name")" = 0 ] || fail "it did not drain"
# By way of a file: who writes into a pipe fails when nobody reads on.
podman logs "$name" >"$work/log" 2>&1
grep -q 'the configuration was read again' "$work/log" || fail "no reload"
podman rm "$name" >/dev/null

echo "==> with the profile less io_uring: refused, and said"
calls='"io_uring_enter", "io_uring_register", "io_uring_setup"'
sed "s/$calls/\"getpid\"/" seccomp.json >"$work/without.json"
! grep -q io_uring_ "$work/without.json" || fail "the profile is written otherwise now"
start "$work/without.json"
status=$(podman wait "$name")
podman logs "$name" 2>&1 | grep io_uring || fail "it does not say what is missing"
[ "$status" = 1 ] || fail "status $status"

echo "==> all passed"
