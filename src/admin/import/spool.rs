//! The temporary file of an import: written once, read back once, without a name.
//!
//! Disks can stall, and scrapes must go on meanwhile, so blocks are written and read on
//! a thread for blocking work, one at a time.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes written or read at once: enough that the step to the other thread does not
/// show, little enough that two of them are nothing.
const BLOCK_BYTES: usize = 256 << 10;

/// A file being written.
pub(super) struct Spool {
    file: Arc<File>,
    block: Vec<u8>,
}

impl Spool {
    /// An empty file in a directory.
    pub(super) async fn create(dir: PathBuf) -> io::Result<Self> {
        let file = unblock(move || tempfile::tempfile_in(dir)).await?;
        Ok(Self {
            file: Arc::new(file),
            block: Vec::new(),
        })
    }

    /// Adds bytes.
    pub(super) async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK_BYTES {
            self.write_block().await?;
        }
        Ok(())
    }

    /// Goes back to the beginning, to read.
    pub(super) async fn into_reader(mut self) -> io::Result<SpoolReader> {
        self.write_block().await?;
        (&*self.file).rewind()?;
        Ok(SpoolReader {
            file: self.file,
            block: self.block,
        })
    }

    async fn write_block(&mut self) -> io::Result<()> {
        let file = self.file.clone();
        let block = std::mem::take(&mut self.block);
        self.block = unblock(move || (&*file).write_all(&block).map(|()| block)).await?;
        self.block.clear();
        Ok(())
    }
}

/// A file being read back.
pub(super) struct SpoolReader {
    file: Arc<File>,
    block: Vec<u8>,
}

impl SpoolReader {
    /// The next bytes; none at the end.
    pub(super) async fn next_block(&mut self) -> io::Result<&[u8]> {
        let file = self.file.clone();
        let mut block = std::mem::take(&mut self.block);
        let read = move || {
            block.clear();
            (&*file).take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
            Ok(block)
        };
        self.block = unblock(read).await?;
        Ok(&self.block)
    }
}

async fn unblock<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        for size in [0, 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 7] {
            let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let back = runtime.block_on(async {
                let mut spool = Spool::create(dir.path().to_owned()).await.unwrap();
                for piece in bytes.chunks(100_000) {
                    spool.append(piece).await.unwrap();
                }
                let mut reader = spool.into_reader().await.unwrap();
                let mut back = Vec::new();
                loop {
                    let block = reader.next_block().await.unwrap();
                    if block.is_empty() {
                        break;
                    }
                    back.extend_from_slice(block);
                }
                back
            });
            assert!(back == bytes, "{size} bytes");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }
}
