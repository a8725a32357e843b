//! How many instructions each piece of a request's way is, counted by valgrind.
//!
//! A clock on a busy machine cannot tell a change of 3 % from noise; a count of
//! instructions can. `purser-bench instructions` runs this and compares it with the
//! counts in `bench/baselines.json`.

// What gungraun's macros make is public and has no words.
#![allow(missing_docs)]

use gungraun::{
    Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use pieces::Piece;
use pieces::body::{ReadBalances, ReadBets, WriteBalances, WriteBets};
use pieces::head::ParseHeads;
use pieces::hop::Hop;
use pieces::ledger::{BookAwards, BookBets, OpenAccounts};
use pieces::log::WriteFrames;
use purser::allocator::{self, Allocator};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: Allocator = allocator::ALLOCATOR;

/// A benchmark of one piece. It gives the piece back, so that freeing it is not counted.
macro_rules! count {
    ($($name:ident: $piece:ty,)*) => {
        $(
            #[library_benchmark]
            #[bench::once(<$piece>::new())]
            fn $name(mut piece: $piece) -> $piece {
                piece.run();
                piece
            }
        )*

        library_benchmark_group!(name = way, benchmarks = [$($name),*]);
    };
}

count! {
    parse_head: ParseHeads,
    read_balance: ReadBalances,
    read_bet: ReadBets,
    write_balance: WriteBalances,
    write_bet: WriteBets,
    book_bet: BookBets,
    book_award: BookAwards,
    open_account: OpenAccounts,
    write_frame: WriteFrames,
    hop: Hop,
}

main!(
    // The caches that callgrind can imitate are no machine's, and take twice the time.
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = way
);
