//! How long each piece of a request's way takes, for people.
//!
//! `cargo bench -p purser-bench --bench pieces` runs all, a word behind `--` those whose
//! name has it. Numbers are those of this machine, now: what a change did is seen by
//! running both sides in turns, or better, by `purser-bench instructions`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pieces::Piece;
use pieces::body::{ReadBalances, ReadBets, WriteBalances, WriteBets};
use pieces::head::ParseHeads;
use pieces::hop::Hop;
use pieces::ledger::{BookAwards, BookBets, OpenAccounts};
use pieces::log::WriteFrames;

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn measure<P: Piece>(criterion: &mut Criterion, name: &str) {
    let mut group = criterion.benchmark_group("pieces");
    group.throughput(Throughput::Elements(P::STEPS));
    group.bench_function(name, |bencher| {
        // One at a time: what the next one needs must not push this one's out of the cache.
        bencher.iter_batched_ref(P::new, P::run, BatchSize::PerIteration);
    });
    group.finish();
}

fn all(criterion: &mut Criterion) {
    measure::<ParseHeads>(criterion, "parse_head");
    measure::<ReadBalances>(criterion, "read_balance");
    measure::<ReadBets>(criterion, "read_bet");
    measure::<WriteBalances>(criterion, "write_balance");
    measure::<WriteBets>(criterion, "write_bet");
    measure::<BookBets>(criterion, "book_bet");
    measure::<BookAwards>(criterion, "book_award");
    measure::<OpenAccounts>(criterion, "open_account");
    measure::<WriteFrames>(criterion, "write_frame");
    measure::<Hop>(criterion, "hop");
}

criterion_group!(benches, all);
criterion_main!(benches);
