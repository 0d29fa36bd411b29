//! From batches to an image: those of the log, and those of a snapshot.
//!
//! ```text
//! snapshot:  control batch: SnapshotHeader [KRaftVersion, KRaftVoters]
//!            batches of metadata records
//!            control batch: SnapshotFooter
//! ```
//!
//! Its batches look like those of a log, their offsets count from 0 and mean nothing. Source: `RecordsSnapshotWriter.java`.

use std::sync::Arc;

use bytes::Bytes;

use super::image::MetadataImage;
use super::quorum::{QuorumError, SnapshotId};
use super::record::{RecordError, decode_record};
use super::replay::ReplayError;
use crate::base::offset::Offset;
use crate::record::{BatchError, BatchView, Batches, ControlType, Decompressor, RecordView};

/// Why batches do not make an image. Offsets are those of the batches: in a snapshot they count its own records.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LoadError {
    #[error("a batch at offset {offset} is damaged: {error}")]
    Batch { offset: Offset, error: BatchError },
    #[error("the record at offset {offset} cannot be read: {error}")]
    Record { offset: Offset, error: RecordError },
    #[error("the record at offset {offset} contradicts those before it: {error}")]
    Replay { offset: Offset, error: ReplayError },
    #[error("the record at offset {offset}: {error}")]
    Quorum { offset: Offset, error: QuorumError },
    #[error("it does not begin with a header")]
    NoHeader,
    #[error("it does not end with a footer")]
    NoFooter,
}

/// Takes a batch of the log into an image. What the image has already is passed over: a snapshot may end within a batch.
///
/// # Errors
///
/// [`LoadError`]; the image is of no use then.
pub fn apply_batch(
    batch: &BatchView<'_>,
    image: &mut MetadataImage,
    workspace: &mut Decompressor,
) -> Result<(), LoadError> {
    let known = image.end_offset;
    visit(batch, workspace, |is_control, record| {
        if record.offset < known {
            return Ok(());
        }
        apply_record(is_control, record, image)
    })?;
    image.end_offset = image.end_offset.max(batch.header().next_offset());
    Ok(())
}

/// Makes the image that a snapshot holds, whole or not at all.
///
/// # Errors
///
/// [`LoadError`].
pub fn read_snapshot(
    bytes: &[u8],
    id: SnapshotId,
    cluster_id: &Arc<str>,
    workspace: &mut Decompressor,
) -> Result<MetadataImage, LoadError> {
    let mut image = MetadataImage {
        cluster_id: Arc::clone(cluster_id),
        ..MetadataImage::default()
    };
    let (mut first, mut last) = (None, None);
    for batch in Batches::new(bytes) {
        let offset = image.end_offset;
        let batch = batch.map_err(|error| LoadError::Batch { offset, error })?;
        visit(&batch, workspace, |is_control, record| {
            let kind = ControlType::from_key(record.key).filter(|_| is_control);
            first.get_or_insert(kind);
            last = kind;
            apply_record(is_control, record, &mut image)
        })?;
        image.end_offset = batch.header().next_offset();
    }
    if first != Some(Some(ControlType::SnapshotHeader)) {
        return Err(LoadError::NoHeader);
    }
    if last != Some(ControlType::SnapshotFooter) || image.is_in_transaction() {
        return Err(LoadError::NoFooter);
    }
    image.end_offset = id.end_offset;
    Ok(image)
}

fn visit(
    batch: &BatchView<'_>,
    workspace: &mut Decompressor,
    mut with: impl FnMut(bool, &RecordView<'_>) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let offset = batch.header().base_offset;
    let damaged = |error| LoadError::Batch { offset, error };
    batch.check_crc().map_err(|error| damaged(error.into()))?;
    let is_control = batch.header().attributes.is_control();
    for record in batch.records(workspace).map_err(damaged)? {
        with(is_control, &record.map_err(damaged)?)?;
    }
    Ok(())
}

fn apply_record(is_control: bool, record: &RecordView<'_>, image: &mut MetadataImage) -> Result<(), LoadError> {
    let offset = record.offset;
    if is_control {
        let quorum = Arc::make_mut(&mut image.quorum);
        return quorum
            .replay(record)
            .map_err(|error| LoadError::Quorum { offset, error });
    }
    let value = Bytes::copy_from_slice(record.value.unwrap_or_default());
    let decoded = decode_record(&value).map_err(|error| LoadError::Record { offset, error })?;
    let replayed = image.replay(&decoded);
    replayed.map_err(|error| LoadError::Replay { offset, error })
}
