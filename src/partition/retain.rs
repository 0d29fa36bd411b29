//! What goes from the front of a partition.

use std::time::Duration;

use crate::base::time::TimestampMs;
use crate::log::Retention;
use crate::partition::Partition;
use crate::partition::types::{DeleteRecordsError, DeleteUpTo};
use crate::storage::{StorageError, Trimmed};

impl Partition {
    /// Removes the segments that have had their time; `None` when all stay.
    ///
    /// # Errors
    /// The log directory is offline, or an index cannot be read.
    pub async fn retain(&self, now: TimestampMs) -> Result<Option<Trimmed>, StorageError> {
        let retention = {
            let config = self.config.borrow();
            Retention {
                deletes: config.cleanup.delete,
                age_ms_max: config.retention_ms,
                bytes_max: config.retention_bytes,
            }
        };
        self.log.retain(&retention, self.high_watermark(), now).await
    }

    /// Deletes the records below an offset, for good when this returns (Kafka: `Partition.deleteRecordsOnLeader`).
    ///
    /// # Errors
    /// As named by [`DeleteRecordsError`].
    pub async fn delete_records(&self, up_to: DeleteUpTo) -> Result<Trimmed, DeleteRecordsError> {
        let cleanup = self.config.borrow().cleanup;
        if cleanup.compact && !cleanup.delete {
            return Err(DeleteRecordsError::CompactedOnly);
        }
        let high_watermark = self.high_watermark();
        let offset = match up_to {
            DeleteUpTo::HighWatermark => high_watermark,
            DeleteUpTo::Offset(offset) if offset.0 < 0 || offset > high_watermark => {
                return Err(DeleteRecordsError::OutOfRange);
            }
            DeleteUpTo::Offset(offset) => offset,
        };
        let trimmed = self.log.advance_log_start_to(offset).await;
        trimmed.map_err(|error| match error {
            StorageError::Full { .. } => DeleteRecordsError::Full,
            StorageError::Offline { .. }
            | StorageError::Damaged { .. }
            | StorageError::Cold(_)
            | StorageError::Truncated
            | StorageError::Failed { .. } => DeleteRecordsError::Offline,
        })
    }

    /// How long files are kept that are not of the log any more.
    #[must_use]
    pub fn file_delete_delay(&self) -> Duration {
        let milliseconds = self.config.borrow().file_delete_delay_ms;
        Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
    }
}
