#!/bin/sh
# purser-fuzz in a build that sees which branches an input takes; takes its arguments:
#   fuzz/guided.sh head --seconds 3600
set -eu
cd "$(dirname "$0")/.."
# Our own crates alone are built in another way, so other builds share their packages.
export RUSTC_WORKSPACE_WRAPPER="$PWD/fuzz/rustc-coverage.sh"
# With assertions as ever, and quick: what a run finds depends on how much it tries.
optimised=""
for package in purser purser-shards purser-fuzz simd-json; do
    optimised="$optimised --config profile.dev.package.$package.opt-level=2"
done
# shellcheck disable=SC2086 # words to be split
exec cargo run -p purser-fuzz --locked --quiet $optimised -- "$@"
