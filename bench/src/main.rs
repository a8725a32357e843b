//! Benchmarks of purser.

fn main() {}
