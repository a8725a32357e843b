#!/bin/sh
# Builds purser by what it was seen doing (profile-guided optimisation): packaging/build-pgo.sh
#
# Three steps: a build that counts which ways its code takes, a load of half a minute on it
# over loopback, and a build that lays the code out by the counts. The server is then
# TARGET/pgo/release/purser; tuning.md has what it gains.
#
# Needs what a build of purser needs, the ports of the demo (9816 and 9817), and llvm-profdata of
# the LLVM that rustc was made with: `rustup component add llvm-tools`, or its path in
# LLVM_PROFDATA. CARGO_TARGET_DIR and RUSTFLAGS are respected.
set -eu
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
flags=${RUSTFLAGS:-}
work=$target/pgo-profile
counts=$work/counts
profile=$work/purser.profdata

tool=${LLVM_PROFDATA:-$(rustc --print target-libdir)/../bin/llvm-profdata}
if ! "$tool" --version >/dev/null 2>&1; then
    echo "build-pgo: no $tool: rustup component add llvm-tools, or set LLVM_PROFDATA" >&2
    exit 1
fi
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
if ! "$tool" --version | grep -q "LLVM version $llvm\."; then
    echo "build-pgo: $tool is not of LLVM $llvm, which rustc was made with" >&2
    exit 1
fi

rm -rf "$work"
mkdir -p "$counts" "$work/home"
cargo build --release --locked -p loadtest
RUSTFLAGS="$flags -Cprofile-generate=$counts" CARGO_TARGET_DIR="$target/pgo-counting" \
    cargo build --release --locked --bin purser

server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true' EXIT
# Where the server is, the load finds its accounts.
load() {
    (cd "$work/home" && "$target/release/loadtest" run --quiet "$@") >"$work/load.log" 2>&1
}
# One server, loaded as the arguments say; it writes its counts when it ends.
train() {
    (cd "$work/home" && exec "$target/pgo-counting/release/purser" serve --demo) &
    server=$!
    tries=0
    until load --vus 1 --duration 1s; do
        tries=$((tries + 1))
        # It says itself why it ended; somebody else may have its ports.
        if [ "$tries" -eq 20 ] || ! kill -0 "$server" 2>/dev/null; then
            cat "$work/load.log" >&2
            exit 1
        fi
        sleep 0.5
    done
    if ! load "$@"; then
        cat "$work/load.log" >&2
        exit 1
    fi
    kill "$server"
    wait "$server"
    server=
}
train --scenario reference --vus 100 --duration 10s
# The second start reads the log of the first one back.
train --scenario full --vus 100 --duration 20s

"$tool" merge -o "$profile" "$counts"
RUSTFLAGS="$flags -Cprofile-use=$profile" CARGO_TARGET_DIR="$target/pgo" \
    cargo build --release --locked --bin purser
echo "build-pgo: $target/pgo/release/purser; a package of it:"
echo "  RUSTFLAGS='$flags -Cprofile-use=$profile' packaging/build-deb.sh"
