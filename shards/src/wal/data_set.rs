//! All logs of one operator: where they are and how they are written.

use std::sync::Arc;

use super::error::OpenError;
use super::frame::DataSetId;
use super::log::{Durability, LogSettings};
use super::manifest::{Founding, Manifest, open_data_set};
use super::recovery::{Recovered, recover};
use super::scan::{Progress, Visitor};
use super::segment::SEGMENT_BYTES_MIN;
use crate::storage::{MemoryDisk, Storage};
use crate::types::ShardId;

/// A data set whose manifest was read. Cloning gives another handle.
#[derive(Clone)]
pub struct DataSet {
    storage: Arc<dyn Storage>,
    manifest: Manifest,
    settings: LogSettings,
}

impl std::fmt::Debug for DataSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataSet")
            .field("manifest", &self.manifest)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl DataSet {
    /// Finds the data set in `storage`, or founds one as `new` says if there is none.
    ///
    /// # Errors
    /// As [`open_data_set`].
    pub fn open(
        storage: Arc<dyn Storage>,
        shards: u16,
        settings: LogSettings,
        new: Founding,
    ) -> Result<Self, OpenError> {
        let manifest = open_data_set(storage.as_ref(), shards, settings, new)?;
        Ok(Self {
            storage,
            manifest,
            settings,
        })
    }

    /// A data set that lives as long as the process, for tests, and the disk that it is
    /// on. Its segments are long enough that no test outruns their making.
    ///
    /// # Errors
    /// As [`open_data_set`].
    pub fn in_memory(shards: u16) -> Result<(Self, MemoryDisk), OpenError> {
        let disk = MemoryDisk::default();
        let settings = LogSettings {
            segment_bytes: 64 * SEGMENT_BYTES_MIN,
            durability: Durability::Fsync,
        };
        let new = Founding {
            data_set: DataSetId(1),
            digest_secret: [1, 2],
        };
        let opened = Self::open(Arc::new(disk.clone()), shards, settings, new)?;
        Ok((opened, disk))
    }

    /// What the data set is.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it is.
    #[must_use]
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Reads a shard's log and makes it ready to go on.
    ///
    /// # Errors
    /// As [`recover`].
    pub fn recover(
        &self,
        shard: ShardId,
        progress: &Progress,
        visitor: &mut dyn Visitor,
    ) -> Result<Recovered, OpenError> {
        let Self {
            storage,
            manifest,
            settings,
        } = self;
        recover(
            storage.as_ref(),
            manifest,
            shard,
            *settings,
            progress,
            visitor,
        )
    }
}
