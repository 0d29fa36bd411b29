//! Compaction of a partition: by the rules of its topic, up to where its records are decided.

use std::path::PathBuf;

use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::compaction::{Dirt, Rules};
use crate::partition::Partition;
use crate::storage::{Cleaner, Compacted, CompactionWork, StorageError};

impl Partition {
    /// The rules by which it is compacted; `None` when its topic is not.
    #[must_use]
    pub fn compaction_rules(&self) -> Option<Rules> {
        let config = self.config.borrow();
        config.cleanup.compact.then_some(Rules {
            dirty_ratio_min: config.dirty_ratio_min,
            lag_min_ms: config.compaction_lag_min_ms,
            lag_max_ms: config.compaction_lag_max_ms,
            delete_retention_ms: config.delete_retention_ms,
        })
    }

    /// How dirty its log is.
    ///
    /// # Errors
    /// An index or a segment cannot be read.
    pub async fn dirt(&self, rules: &Rules, now: TimestampMs) -> Result<Dirt, StorageError> {
        let work = CompactionWork {
            rules,
            stable_end: self.high_watermark(),
            now,
        };
        self.log.dirt(&work).await
    }

    /// Compacts its log; `None` when there is nothing to do. Files that are not of the log any more are added to `removed`.
    ///
    /// # Errors
    /// As [`Cleaner::compact`].
    pub async fn compact(
        &self,
        cleaner: &mut Cleaner,
        rules: &Rules,
        now: TimestampMs,
        removed: &mut Vec<PathBuf>,
    ) -> Result<Option<Compacted>, StorageError> {
        let work = CompactionWork {
            rules,
            stable_end: self.decided_end(),
            now,
        };
        cleaner.compact(&self.log, &work, removed).await
    }

    /// Where the first record lies that may still be aborted, or not be committed.
    fn decided_end(&self) -> Offset {
        self.log.with_state(|state| {
            let open = state
                .producers()
                .iter()
                .filter_map(|(_, entry)| entry.transaction_first_offset);
            open.fold(self.high_watermark(), Offset::min)
        })
    }
}
