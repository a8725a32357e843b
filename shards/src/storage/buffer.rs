//! Memory that starts on a block boundary, as direct I/O asks for.

use std::ops::{Deref, DerefMut};

use super::BLOCK_BYTES;

/// Bytes whose address is a multiple of [`BLOCK_BYTES`].
///
/// An ordinary vector with one block to spare, of which the part from the first block
/// boundary on is used; so this needs no unsafe code.
#[derive(Debug)]
pub struct AlignedBuf {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// That many zeroes.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let memory = vec![0; len + BLOCK_BYTES - 1];
        let start = memory.as_ptr().align_offset(BLOCK_BYTES);
        assert!(start < BLOCK_BYTES);
        Self { memory, start, len }
    }

    /// The memory that it takes, whether it is used or not.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.memory.capacity()
    }

    /// Makes it that long. What it holds afterwards is the caller's to write: old bytes
    /// may show.
    pub fn set_len(&mut self, len: usize) {
        if self.start + len > self.memory.len() {
            *self = Self::zeroed(len.next_power_of_two());
        }
        self.len = len;
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_start_on_a_block_however_the_buffer_grew() {
        let mut buffer = AlignedBuf::zeroed(1);
        for len in [1, BLOCK_BYTES, 3 * BLOCK_BYTES, 17, 1 << 20] {
            buffer.set_len(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr().align_offset(BLOCK_BYTES), 0);
        }
    }
}
