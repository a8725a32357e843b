//! Whole data sets on disks in memory: laid out anew, and looked up while they are used.

mod lookup;
mod reshard;
mod used;
