//! Where things are: slots, shards, and positions in a log.

use std::fmt;

/// One of 16,384 hash buckets of account ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(u16);

impl Slot {
    /// How many slots there are: enough to spread over any machine, few enough
    /// that 14 bits of a session key can carry one.
    pub const COUNT: u16 = 16_384;

    /// How many bits tell one.
    pub const BITS: u32 = Self::COUNT.trailing_zeros();

    /// The slot of the low 14 bits.
    #[must_use]
    pub const fn from_low_bits(bits: u16) -> Self {
        Self(bits % Self::COUNT)
    }

    /// 0 to 16,383.
    #[must_use]
    pub const fn index(self) -> u16 {
        self.0
    }
}

/// One core's executor with its accounts, mailbox and log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShardId(pub u16);

impl ShardId {
    /// For indexing tables of shards.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Position of a record in its shard's log: dense, increasing, 1 for the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before the first record: what rests on nothing is always durable.
    pub const NONE: Self = Self(0);

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
