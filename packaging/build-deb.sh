#!/bin/sh
# Builds the Debian package: packaging/build-deb.sh [VERSION-REVISION]
#
# Needs what a build of purser needs, and cargo-deb (cargo install cargo-deb --version 3.8.0
# --locked). Build on the oldest release that it is to be installed on: the package asks for
# the C library of the machine that it was built on, or a newer one. CARGO_TARGET_DIR is
# respected.
#
# Who builds it answers for it: DEBFULLNAME and DEBEMAIL, as Debian's own tools read them, become
# its Maintainer. Without them it says that it has no address.
set -eu
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
made=$target/release/packaging

cargo build --release --locked --bin purser
rm -rf "$made"
"$target/release/purser" man --out "$made/man"
gzip -9n "$made"/man/*.1
for shell in bash zsh fish; do
    "$target/release/purser" completions "$shell" --out "$made/completions"
done
# The tables of lines that a profiler or a core dump wants go into a package of their own:
# five sixths of what would be installed.
cargo deb --no-build --dbgsym ${1:+--deb-version "$1"} \
    ${DEBEMAIL:+--maintainer "${DEBFULLNAME:-$DEBEMAIL} <$DEBEMAIL>"}
