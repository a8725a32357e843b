//! The `purser` command.

fn main() {}
