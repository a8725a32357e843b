//! All logs of one operator: where they are and how they are written.

use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

use super::checkpoint;
use super::error::{FoldError, OpenError};
use super::fold::{FoldSettings, Folded, fold};
use super::frame::DataSetId;
use super::inventory::Inventory;
use super::log::{Durability, LogSettings};
use super::manifest::{Founding, Manifest, open_data_set};
use super::recovery::{Recovered, recover};
use super::sealed::{Sealed, SealedHeader};
use super::segment::{SEGMENT_BYTES_MIN, segment_path};
use super::visitor::{Progress, Visitor};
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

    /// What the newest checkpoint of a shard says that it is; `None` when there is none.
    ///
    /// # Errors
    /// [`OpenError::Refused`] when its header is damaged.
    pub fn newest_checkpoint(&self, shard: ShardId) -> Result<Option<SealedHeader>, OpenError> {
        let storage = self.storage.as_ref();
        let newest = Inventory::of(storage, shard)?.newest_checkpoint();
        let header = newest
            .map(|number| Sealed::open(storage, checkpoint::id_of(&self.manifest, shard, number)))
            .transpose()?
            .map(|checkpoint| checkpoint.header);
        Ok(header)
    }

    /// How long some segments of a shard are together; one that is not there, or cannot be
    /// looked at, has no bytes.
    #[must_use]
    pub fn segment_bytes(&self, shard: ShardId, numbers: RangeInclusive<u32>) -> u64 {
        numbers
            .filter_map(|number| self.storage.open(&segment_path(shard, number)).ok())
            .filter_map(|file| file.length().ok())
            .sum()
    }

    /// Folds all segments of a shard up to `through`, which its log must have left.
    ///
    /// # Errors
    /// As [`fold`].
    pub fn fold(
        &self,
        shard: ShardId,
        through: u32,
        settings: &FoldSettings,
        pace: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Folded, FoldError> {
        let storage = self.storage.as_ref();
        fold(storage, &self.manifest, shard, through, settings, pace)
    }
}
