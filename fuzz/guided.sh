#!/bin/sh
# purser-fuzz in a build that sees which branches an input takes; takes its arguments:
#   fuzz/guided.sh head --seconds 3600
set -eu
cd "$(dirname "$0")/.."
# Our own crates alone are built in another way, so other builds share their packages.
export RUSTC_WORKSPACE_WRAPPER="$PWD/fuzz/rustc-coverage.sh"
exec cargo run -p purser-fuzz --locked --quiet -- "$@"
