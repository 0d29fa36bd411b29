//! Snapshots of the metadata: when the log behind the last one has grown, another takes its place, so that neither the log nor a start grows
//! with the age of a cluster.

use std::rc::Rc;
use std::sync::Arc;

use crate::metadata::quorum::SnapshotId;
use crate::metadata::{MetadataImage, SnapshotError, SnapshotWriter, records_of};
use crate::rt;
use crate::shard::controller::MetadataController;
use crate::shard::metadata_log::{MetadataLog, MetadataLogError};
use crate::storage::StorageError;

/// The newest snapshots that are kept: a torn one has another before it, and the log begins where that ends.
const SNAPSHOTS_KEPT: usize = 2;

impl MetadataController {
    /// Begins a snapshot in the background once more than `bytes_max` of records stand behind the last one.
    pub(super) fn snapshot_if_due(self: &Rc<Self>, bytes_max: u64) {
        let image = self.image();
        let log = self.log();
        if log.bytes_since_snapshot.get() <= bytes_max || image.is_in_transaction() {
            return;
        }
        // What is appended meanwhile counts for the next one.
        log.bytes_since_snapshot.set(0);
        let controller = Rc::clone(self);
        rt::task::spawn_background(async move {
            let log = controller.log();
            if let Err(error) = log.snapshot(&image).await {
                tracing::error!(%error, "the metadata cannot be put into a snapshot; its log is kept");
            }
        });
    }
}

impl MetadataLog {
    /// Writes a snapshot of an image, and lets go of what older ones and the log before them say.
    async fn snapshot(&self, image: &Arc<MetadataImage>) -> Result<(), MetadataLogError> {
        let id = SnapshotId {
            end_offset: image.end_offset,
            epoch: self.leader_epoch.get(),
        };
        let bytes = encode_in_steps(image, id).await;
        let bytes = bytes.map_err(|error| MetadataLogError::TooLarge(error.to_string()))?;
        self.log().write_beside(&id.to_string(), &bytes).await?;
        tracing::debug!(snapshot = %id, bytes = bytes.len(), "the metadata is in a snapshot");
        self.forget_before_snapshots().await?;
        Ok(())
    }

    async fn forget_before_snapshots(&self) -> Result<(), StorageError> {
        let snapshots = self.snapshots()?;
        if let Some(oldest) = snapshots.get(SNAPSHOTS_KEPT - 1) {
            self.log().advance_log_start_to(oldest.end_offset).await?;
        }
        for old in snapshots.iter().skip(SNAPSHOTS_KEPT) {
            self.log().remove_beside(&old.to_string());
        }
        Ok(())
    }
}

async fn encode_in_steps(image: &Arc<MetadataImage>, id: SnapshotId) -> Result<Vec<u8>, SnapshotError> {
    let mut writer = SnapshotWriter::begin(image, id, rt::time::wall())?;
    for record in records_of(image) {
        writer.push(&record)?;
        rt::task::yield_if_needed().await;
    }
    writer.finish()
}
