# Recipes for people; `just` alone lists them. Each is one or two commands that you
# can type as well.

# List the recipes.
default:
    @just --list

# All tests, as the README has it.
test *args:
    cargo test --workspace {{ args }}

# Everything that a change must pass.
ci:
    .ci/run

# The server with demo data on 127.0.0.1:9816.
run *args:
    cargo run --release -- serve --demo {{ args }}

# The server beside the floor: one table; `just bench --rounds 2 --seconds 2` for a glance.
bench *args:
    cargo build --release --workspace
    cargo run --release -p purser-bench -- macro {{ args }}

# The same beside the rivals: axum, may_minihttp, io_uring, nginx, Redis, PostgreSQL.
bench-rivals *args:
    cargo build --release --manifest-path bench/rivals/Cargo.toml
    cargo build --release --workspace
    cargo run --release -p purser-bench -- macro {{ args }}

# How long each piece of a request's way takes; a word picks those that have it in their name.
bench-pieces *args:
    cargo bench -p purser-bench --bench pieces -- {{ args }}

# How many instructions each piece is, beside bench/baselines.json; `--update` writes them down.
instructions *args:
    cargo run -p purser-bench -- instructions {{ args }}

# Load a running server and report: `just load --vus 100 --duration 10m --report report`.
load *args:
    cargo run --release -p loadtest -- run {{ args }}

# k6 (from the PATH) and loadtest in turns on a running server, with the CPU of all sides.
beside-k6 *args:
    cargo build --release -p loadtest
    python3 loadtest/beside_k6.py {{ args }}

# How many system calls a request costs, by name; as root.
syscalls *args:
    cargo build --release --workspace
    cargo run --release -p purser-bench -- syscalls {{ args }}

# Every interleaving of the mailbox's wake-ups.
loom:
    RUSTFLAGS="--cfg purser_loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/loom" \
        cargo test -p purser-shards --release --lib loom

# Random bytes against what reads bytes: head, chunks, json or connection.
fuzz target seconds="60":
    cargo run -p purser-fuzz -- {{ target }} --seconds {{ seconds }}

# The same for long, with an eye on the branches that the inputs take.
fuzz-guided target seconds="3600":
    fuzz/guided.sh {{ target }} --seconds {{ seconds }}

# Requests made up from the OpenAPI document, against a server with demo data.
schemathesis *args:
    tests/schemathesis/run.sh {{ args }}

# Many seeds of the simulation of shards, disks and crashes.
sim seeds="10000":
    PURSER_SIM_SEEDS={{ seeds }} cargo test --release -p purser-shards --test simulation -- --nocapture

# Many commands for the ledger, beside the model.
model operations="1000000":
    PURSER_MODEL_OPERATIONS={{ operations }} cargo test --release -p purser-shards --test wallet_model -- --nocapture

# Format in place.
fmt:
    cargo fmt --all

# Lints and the rules for dependencies.
lint:
    cargo clippy --workspace --all-targets -- -D warnings
    cargo deny --workspace check bans licenses sources

# The documentation of our own crates.
doc *args:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps {{ args }}
