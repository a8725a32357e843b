#!/bin/bash
# Tries the Debian package in a root of its own: install, start, upgrade, remove, purge.
#
#   sudo packaging/try-deb.sh OLD.deb NEW.deb [ROOT.tar]
#
# OLD and NEW are two versions of the package: packaging/build-deb.sh 0.1.0-1, then 0.1.0-2
# (the first must be moved away in between, cargo-deb keeps one). Needs root and mmdebstrap;
# the root is of this machine's release, from the sources that its apt knows, in a directory
# below /tmp that is removed at the end. ROOT.tar is made if it is not there, and used again
# if it is.
#
# Where systemd-nspawn can boot the root, systemd itself starts, watches and stops the
# service. Where it cannot, the unit's own ExecStart is run in a chroot as the unit's user,
# and the last line says so.
set -euo pipefail

old=$(realpath "$1")
new=$(realpath "$2")
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
    [ ! -s "$file" ] || sources+=("$file")
done
tar=${3:-}
work=$(mktemp -d /tmp/purser-try-deb.XXXXXX)
root=$work/root
server=
mounted=()
boot=
network=

say() { printf '\n==> %s\n' "$*"; }
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

clean() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    if [ -n "$boot" ]; then
        # As `poweroff` in it would; then it is gone and so are its mounts.
        kill "$boot" 2>/dev/null || true
        wait "$boot" 2>/dev/null || true
    fi
    [ -z "$network" ] || kill "$network" 2>/dev/null || true
    for place in "${mounted[@]}"; do umount -l "$place" || true; done
    # Nothing of the machine may still be mounted below what is removed.
    if ! grep -q " $work" /proc/mounts; then rm -rf "$work"; fi
}
trap clean EXIT

say "a root of Debian $suite"
if [ ! -s "${tar:-/nowhere}" ]; then
    made=${tar:-$work/root.tar}
    mmdebstrap --variant=minbase --include=systemd,systemd-sysv,dbus,curl,init-system-helpers \
        "$suite" "$made" "${sources[@]}" >"$work/mmdebstrap.log" 2>&1 ||
        { tail "$work/mmdebstrap.log" && fail "no root"; }
    tar=$made
fi
mkdir "$root"
tar -xf "$tar" -C "$root"
cp "$old" "$root/old.deb"
cp "$new" "$root/new.deb"

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }

# True when systemd runs as the first process of the root.
boot_up() {
    command -v systemd-nspawn >/dev/null || return 1
    # A network of its own, so that its ports are nobody else's.
    systemd-nspawn --quiet --register=no --keep-unit --private-network --boot \
        --directory="$root" --machine=purser-try \
        --system-call-filter='io_uring_setup io_uring_enter io_uring_register' \
        >"$work/boot.log" 2>&1 &
    boot=$!
    for _ in $(seq 120); do
        kill -0 "$boot" 2>/dev/null || { boot= && return 1; }
        leader=$(pgrep -P "$boot" | head -n 1)
        if [ -n "$leader" ] && nsenter -t "$leader" -a systemctl is-system-running 2>/dev/null |
            grep -Eq 'running|degraded'; then
            return 0
        fi
        sleep 0.5
    done
    kill "$boot" 2>/dev/null || true
    boot=
    return 1
}

with_systemd=
if boot_up; then
    with_systemd=1
    inside() { nsenter -t "$leader" -a /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
    say "systemd runs in it as the first process"
else
    say "systemd cannot be booted here: the unit's command is run by hand"
    mount -t proc proc "$root/proc" && mounted+=("$root/proc")
    mount --bind /sys "$root/sys" && mounted+=("$root/sys")
    mount --bind /dev "$root/dev" && mounted+=("$root/dev")
    unshare --net sh -c 'ip link set lo up && exec sleep infinity' &
    network=$!
    within=(nsenter --net -t "$network" chroot)
    inside() { "${within[@]}" "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
fi

# By hand: the unit's ExecStart as the unit's user, with its limits.
start() {
    if [ -n "$with_systemd" ]; then
        inside systemctl start purser
    else
        command=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/purser.service")
        # shellcheck disable=SC2086 # words are meant
        # The first only where this root may; the server says if it needs more than it has.
        (ulimit -l unlimited 2>/dev/null || true
            ulimit -n 65536 && umask 077 &&
            exec "${within[@]}" --userspec=purser:purser "$root" /usr/bin/env -i -C /var/lib/purser $command) \
            >"$work/server.log" 2>&1 &
        server=$!
    fi
    for _ in $(seq 100); do
        if inside curl -fsS http://127.0.0.1:9817/readyz >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    [ -z "$with_systemd" ] || inside journalctl --no-pager -u purser | tail -n 30
    [ -n "$with_systemd" ] || cat "$work/server.log"
    fail "not ready within 10 s"
}

stop() {
    if [ -n "$with_systemd" ]; then
        inside systemctl stop purser
    else
        kill "$server"
        wait "$server" || fail "it ended with status $?"
        server=
    fi
}

# Whether the service's log says something; by way of a file, for who writes into a pipe
# fails when nobody reads on.
logged() {
    inside journalctl --no-pager -u purser >"$work/journal"
    grep -m 1 "$1" "$work/journal"
}

api() {
    inside curl -fsS -H "Authorization: Bearer $(cat "$root/etc/purser/admin.token")" \
        -H 'Content-Type: application/json' "$@"
}

say "install $(basename "$old")"
inside apt-get install --yes --no-install-recommends /old.deb >"$work/install.log" 2>&1 ||
    { tail -n 20 "$work/install.log" && fail "install"; }
inside purser --version
inside purser config check /etc/purser/purser.toml >/dev/null || fail "the configuration"
[ "$(stat -c '%a %U:%G' "$root/etc/purser/admin.token" 2>/dev/null | cut -d' ' -f1)" = 640 ] || fail "the token's mode"
inside stat -c '%a %U:%G %n' /etc/purser/purser.toml /etc/purser/admin.token \
    /etc/purser/acme.password /var/lib/purser
inside systemctl is-enabled purser || fail "not enabled"
[ "$(inside systemctl is-enabled purser-tune || true)" = disabled ] || fail "purser-tune is enabled"
inside test -s /usr/share/man/man1/purser-config-check.1.gz || fail "no man page"
inside test -s /usr/share/bash-completion/completions/purser || fail "no completion"
[ -n "$with_systemd" ] && { ! inside systemctl is-active purser >/dev/null || fail "it was started"; }

say "start, and book"
start
api -X PUT http://127.0.0.1:9817/admin/v1/accounts/acme/p1 -d '{"CountryCode":"DE"}' >/dev/null
api http://127.0.0.1:9817/admin/v1/accounts/acme/p1/deposits -d '{"TransactionID":"d1","Amount":"12.34"}'
echo
if [ -n "$with_systemd" ]; then
    inside systemctl show purser -p StatusText -p WatchdogUSec -p NRestarts
    inside systemctl reload purser || {
        inside journalctl --no-pager -u purser | tail -n 30
        fail "reload"
    }
    logged 'was read again' || fail "reload"
fi

say "upgrade to $(basename "$new")"
before=$(inside sha256sum /etc/purser/admin.token /etc/purser/acme.password)
[ -n "$with_systemd" ] && pid=$(inside systemctl show purser -p MainPID --value)
inside apt-get install --yes --no-install-recommends /new.deb >"$work/upgrade.log" 2>&1 ||
    { tail -n 20 "$work/upgrade.log" && fail "upgrade"; }
if [ -n "$with_systemd" ]; then
    [ "$(inside systemctl show purser -p MainPID --value)" != "$pid" ] || fail "not restarted"
else
    stop
    start
fi
[ "$before" = "$(inside sha256sum /etc/purser/admin.token /etc/purser/acme.password)" ] || fail "secrets have changed"
for _ in $(seq 100); do
    inside curl -fsS http://127.0.0.1:9817/readyz >/dev/null 2>&1 && break
    sleep 0.1
done
api http://127.0.0.1:9817/admin/v1/accounts/acme/p1 | grep -q '"CashFunds":"12.34"' || fail "the money is gone"
echo "the account has 12.34 after the upgrade"

if [ -n "$with_systemd" ]; then
    show() { inside systemctl show purser --value -p "$1"; }

    say "a process that hangs: systemd restarts it"
    inside mkdir -p /run/systemd/system/purser.service.d
    printf '[Service]\nWatchdogSec=3s\n' | inside tee /run/systemd/system/purser.service.d/try.conf >/dev/null
    inside systemctl daemon-reload
    inside systemctl restart purser
    sleep 5
    [ "$(show NRestarts)" = 0 ] || fail "restarted while every shard turned"
    inside systemctl kill --signal STOP purser
    for _ in $(seq 100); do
        [ "$(show NRestarts)" = 1 ] && [ "$(show ActiveState)" = active ] && break
        sleep 0.2
    done
    [ "$(show NRestarts)" = 1 ] || fail "not restarted"
    logged 'Watchdog timeout' || fail "restarted for another reason"
    inside rm -r /run/systemd/system/purser.service.d
    inside systemctl daemon-reload
    inside systemctl restart purser
    api http://127.0.0.1:9817/admin/v1/accounts/acme/p1 | grep -q '"CashFunds":"12.34"' || fail "the money is gone"

    say "data that is refused: it stays down with status 3"
    inside systemctl stop purser
    inside cp -a /var/lib/purser/manifest /var/lib/manifest.kept
    echo damaged | inside tee /var/lib/purser/manifest >/dev/null
    ! inside systemctl start purser || fail "it started"
    sleep 3
    [ "$(show ActiveState) $(show ExecMainStatus) $(show NRestarts)" = "failed 3 0" ] || {
        inside systemctl status --no-pager purser || true
        fail "not down with status 3 after one try"
    }
    inside mv /var/lib/manifest.kept /var/lib/purser/manifest
    inside systemctl reset-failed purser
    start
fi

say "a bundle"
inside purser debug-bundle --config /etc/purser/purser.toml --out /bundle.tar.gz

say "remove"
[ -n "$with_systemd" ] || stop
inside apt-get remove --yes purser >"$work/remove.log" 2>&1 || fail "remove"
[ ! -e "$root/usr/bin/purser" ] || fail "the program is still there"
[ -e "$root/etc/purser/purser.toml" ] || fail "the configuration is gone"
[ -e "$root/var/lib/purser/manifest" ] || fail "the data is gone"

say "install again, and purge"
inside apt-get install --yes --no-install-recommends /new.deb >"$work/again.log" 2>&1 || fail "install again"
inside systemctl is-enabled purser || fail "not enabled again"
inside apt-get purge --yes purser 2>&1 | grep '^purser:' || fail "nothing is said of the data"
[ ! -e "$root/etc/purser" ] || fail "/etc/purser is still there: $(ls -A "$root/etc/purser")"
[ -e "$root/var/lib/purser/manifest" ] || fail "the data is gone"

say "install, start and purge once more: the money is still there"
inside apt-get install --yes --no-install-recommends /new.deb >"$work/third.log" 2>&1 || fail "install"
start
api http://127.0.0.1:9817/admin/v1/accounts/acme/p1 | grep -q '"CashFunds":"12.34"' || fail "the money is gone"
stop
inside apt-get purge --yes purser >/dev/null 2>&1

if [ -n "$with_systemd" ]; then
    say "all passed, with systemd as the first process"
else
    say "all passed; systemd was not booted: the unit's command was run by hand"
fi
