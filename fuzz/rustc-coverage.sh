#!/bin/sh
# In place of rustc for our own crates: counts every edge (fuzz/src/coverage.rs).
case " $* " in
# Who looks at the counters does not count.
*" --crate-name purser_fuzz "*) exec "$@" --cfg purser_coverage ;;
*)
    exec "$@" -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=3 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    ;;
esac
