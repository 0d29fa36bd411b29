//! Appends: a brief batch is checked and appended at once, a long one is prepared in steps first.
//!
//! A long batch is one whose checks, or whose compression, may hold the core for longer than a step. Its [`Preparation`] owns all that it
//! needs, so that nothing of the partition is held meanwhile; the core that runs it comes back with [`Partition::write_ahead`] and
//! [`Partition::append_prepared`].

use std::rc::Rc;

use bytes::Bytes;

use crate::base::limits::{
    APPEND_STEP_BYTES, BATCH_EXPANDED_BYTES_MAX, RECOMPRESSION_STEP_BYTES, VALIDATION_STEP_BYTES,
};
use crate::base::offset::FilePosition;
use crate::base::time::TimestampMs;
use crate::config::Compression as Configured;
use crate::log::Origin;
use crate::log::room::Room;
use crate::partition::Partition;
use crate::partition::turns::Turn;
use crate::partition::types::{Append, AppendError, Appended};
use crate::partition::workspace::Workspace;
use crate::record::{
    BatchError, BatchHeader, BatchView, Compression, CompressionLevel, Decompressor, Recompression, Rules, Target,
    TimestampType, Validated, Validation, recompress,
};
use crate::rt;
use crate::storage::{self, Ahead, NewBatch, StorageError};

/// Records of a batch that are checked at once, each taking some 10 ns.
const RECORDS_AT_ONCE_MAX: i32 = 8192;

/// Bytes of a batch that is not compressed and is checked and written at once: a step of records, with what stands around them.
const PLAIN_BYTES_AT_ONCE_MAX: usize = APPEND_STEP_BYTES + APPEND_STEP_BYTES / 16;

/// Bytes of a compressed batch that is tried in one step: most of them do not expand to more than a step.
const COMPRESSED_BYTES_AT_ONCE_MAX: usize = VALIDATION_STEP_BYTES / 2;

/// How an append begins.
pub enum Begun {
    Done(Result<Appended, AppendError>),
    /// It takes longer: run it, and come back with the outcome.
    Preparing(Preparation),
}

/// A batch on its way through checks that take steps.
pub struct Preparation {
    batch: Bytes,
    rules: Rules,
    /// What the topic wants of it.
    target: Option<Target>,
    turn: Turn,
    workspace: Rc<Workspace>,
}

/// A batch that passed them, or did not. Until it is dropped, nothing of its source is appended after it.
pub struct Prepared {
    outcome: Result<(Bytes, Validated), BatchError>,
    _turn: Turn,
}

impl Partition {
    /// Checks a producer's batch and appends it, at once where that takes no longer than a step. It is in the page cache and readable
    /// then; see [`durable`](Self::durable).
    pub fn begin_append(&self, what: Append, now: TimestampMs) -> Begun {
        if self.turns.is_free(what.source)
            && !self.log.is_writing_ahead()
            && !self.log.takes_steps(what.batch.len())
            && let Some(done) = self.append_at_once(&what, now).transpose()
        {
            return Begun::Done(done);
        }
        Begun::Preparing(self.prepare_append(what, now))
    }

    /// As [`begin_append`](Self::begin_append) for a core that has no time now.
    pub fn prepare_append(&self, what: Append, now: TimestampMs) -> Preparation {
        Preparation {
            rules: self.rules(now, what.zstd_allowed),
            target: self.target(),
            batch: what.batch,
            turn: self.turns.take(what.source),
            workspace: Rc::clone(&self.workspace),
        }
    }

    /// Waits until a batch that was prepared may be the next one, and writes of it what takes longer than a step. `None` for one that broke
    /// a rule.
    ///
    /// # Errors
    /// The log takes no more.
    pub async fn write_ahead(&self, prepared: &Prepared, now: TimestampMs) -> Result<Option<Ahead>, AppendError> {
        let Ok((bytes, validated)) = &prepared.outcome else {
            return Ok(None);
        };
        let view = BatchView::parse_only(bytes)?;
        if let Some(refusal) = self.refusal(&view) {
            return Err(refusal);
        }
        let batch = NewBatch::validated(&view, &stamped(*validated, now));
        let written = self
            .log
            .write_ahead(&batch, bytes, Origin::Client, self.leader_epoch.get(), now);
        written.await.map(Some).map_err(append_failed)
    }

    /// Appends a batch that was prepared, and written ahead by this partition or not at all.
    ///
    /// # Errors
    /// The batch breaks a rule, or the log takes no more.
    pub fn append_prepared(
        &self,
        prepared: Prepared,
        ahead: Option<Ahead>,
        now: TimestampMs,
    ) -> Result<Appended, AppendError> {
        let (bytes, validated) = prepared.outcome?;
        let view = BatchView::parse_only(&bytes)?;
        // The time of the append is this one, so that times in the log do not go back.
        self.append_validated(&view, &stamped(validated, now), ahead.as_ref(), now)
    }

    /// `None` for a batch that takes longer, or that has to wait for the files of a new segment.
    fn append_at_once(&self, what: &Append, now: TimestampMs) -> Result<Option<Appended>, AppendError> {
        let view = BatchView::parse_only(&what.batch)?;
        if !is_brief(view.header()) || self.target().is_some_and(|target| is_other(view.header(), target)) {
            return Ok(None);
        }
        let rules = self.rules(now, what.zstd_allowed);
        let mut decompressor = self.workspace.decompressor.borrow_mut();
        let mut validation = Validation::begin(&view, &rules, &mut decompressor)?;
        match validation.advance(VALIDATION_STEP_BYTES as u64)? {
            Some(validated) if self.begins_segment(&view, &validated, now) => Ok(None),
            Some(validated) => self.append_validated(&view, &validated, None, now).map(Some),
            None => Ok(None),
        }
    }

    fn begins_segment(&self, view: &BatchView<'_>, validated: &Validated, now: TimestampMs) -> bool {
        let batch = NewBatch::validated(view, validated);
        self.log
            .begins_segment(&batch, Origin::Client, self.leader_epoch.get(), now)
    }

    /// What the topic wants of the batches that it stores; `None` takes them as they come.
    fn target(&self) -> Option<Target> {
        let config = self.config.borrow();
        let compression = match config.compression {
            Configured::Producer => return None,
            Configured::Uncompressed => Compression::None,
            Configured::Gzip => Compression::Gzip,
            Configured::Snappy => Compression::Snappy,
            Configured::Lz4 => Compression::Lz4,
            Configured::Zstd => Compression::Zstd,
        };
        Some(Target {
            compression,
            level: config
                .compression_level
                .map_or(CompressionLevel::Default, CompressionLevel::Level),
            batch_bytes_max: usize::try_from(config.message_bytes_max).unwrap_or(usize::MAX),
        })
    }

    /// Why the batch is not taken now, whatever it holds.
    fn refusal(&self, view: &BatchView<'_>) -> Option<AppendError> {
        if view.header().attributes.is_transactional() {
            return Some(AppendError::Transactional);
        }
        (self.log.health().room() == Room::None).then_some(AppendError::Full)
    }

    fn append_validated(
        &self,
        view: &BatchView<'_>,
        validated: &Validated,
        ahead: Option<&Ahead>,
        now: TimestampMs,
    ) -> Result<Appended, AppendError> {
        if let Some(refusal) = self.refusal(view) {
            return Err(refusal);
        }
        let batch = NewBatch::validated(view, validated);
        let batch = ahead.map_or(batch, |ahead| batch.behind(ahead));
        let appended = self.write(batch, Origin::Client, now)?;
        let log_append_time = match validated.timestamp_type {
            TimestampType::LogAppendTime => appended.max_timestamp,
            TimestampType::CreateTime => TimestampMs::NONE,
        };
        Ok(self.appended(&appended, log_append_time))
    }

    /// Whether a long batch of a producer is on its way, so that [`append_own`](Self::append_own) has to wait.
    #[must_use]
    pub fn is_writing_ahead(&self) -> bool {
        self.log.is_writing_ahead()
    }

    /// Appends a batch that this broker has made itself: there is nothing to check. Not while another is written ahead.
    ///
    /// # Errors
    /// The log takes no more.
    pub fn append_own(&self, batch: &Bytes, now: TimestampMs) -> Result<Appended, AppendError> {
        let view = BatchView::parse_only(batch)?;
        if let Some(refusal) = self.refusal(&view) {
            return Err(refusal);
        }
        let appended = self.write(NewBatch::as_it_is(&view), Origin::Coordinator, now)?;
        Ok(self.appended(&appended, TimestampMs::NONE))
    }

    fn appended(&self, appended: &storage::Appended, log_append_time: TimestampMs) -> Appended {
        Appended {
            base_offset: appended.base_offset,
            end_offset: appended.last_offset.next(),
            log_append_time,
            log_start_offset: self.log.log_start_offset(),
        }
    }

    fn write(&self, batch: NewBatch<'_>, origin: Origin, now: TimestampMs) -> Result<storage::Appended, AppendError> {
        rt::task::begin_part("write a batch");
        let outcomes = self
            .log
            .append(&[batch], origin, self.leader_epoch.get(), now)
            .map_err(append_failed)?;
        // With one replica, what is appended is committed.
        self.high_watermark.set(self.log.log_end_offset());
        let outcome = outcomes.into_iter().next().ok_or(AppendError::Offline)?;
        let appended = outcome?;
        self.trace("append");
        Ok(appended)
    }
}

/// What was found of a batch, for an append at this time.
fn stamped(validated: Validated, now: TimestampMs) -> Validated {
    let max_timestamp = match validated.timestamp_type {
        TimestampType::LogAppendTime => now,
        TimestampType::CreateTime => validated.max_timestamp,
    };
    Validated {
        max_timestamp,
        ..validated
    }
}

fn append_failed(error: StorageError) -> AppendError {
    match error {
        StorageError::Full { .. } => AppendError::Full,
        // Another leads the partition, and has another log.
        StorageError::Truncated => AppendError::NotHosted,
        StorageError::Offline { .. }
        | StorageError::Damaged { .. }
        | StorageError::Cold(_)
        | StorageError::Failed { .. } => AppendError::Offline,
    }
}

/// Whether the checks of a batch take no longer than a step, as far as its header tells.
fn is_brief(header: &BatchHeader) -> bool {
    let bytes = header.batch_bytes();
    match header.attributes.compression() {
        Some(Compression::None) => bytes <= PLAIN_BYTES_AT_ONCE_MAX && header.record_count <= RECORDS_AT_ONCE_MAX,
        Some(_) => bytes <= COMPRESSED_BYTES_AT_ONCE_MAX,
        // It is refused at once.
        None => true,
    }
}

impl Preparation {
    /// Waits for its turn and does the checks, in steps.
    pub async fn run(self) -> Prepared {
        self.turn.reached().await;
        let outcome = self.check().await;
        Prepared {
            outcome,
            _turn: self.turn,
        }
    }

    async fn check(&self) -> Result<(Bytes, Validated), BatchError> {
        let _place = self.workspace.enter().await;
        let view = BatchView::parse_only(&self.batch)?;
        let mut decompressor = Decompressor::new(BATCH_EXPANDED_BYTES_MAX);
        let mut validation = Validation::begin(&view, &self.rules, &mut decompressor)?;
        let step_bytes = &self.workspace.check_bytes;
        let step = || {
            let began = rt::time::now();
            let checked = validation.advance(step_bytes.at(FilePosition::ZERO) as u64);
            step_bytes.note(rt::time::now().since(began));
            checked
        };
        let validated = self.workspace.in_steps("check a batch", step).await?;
        drop(validation);
        match self.target {
            Some(target) if is_other(view.header(), target) => {
                let batch = self.recompress(view, target, decompressor).await?;
                Ok((batch, validated))
            }
            Some(_) | None => Ok((self.batch.clone(), validated)),
        }
    }

    /// The batch as the topic wants it.
    async fn recompress(
        &self,
        view: BatchView<'_>,
        target: Target,
        mut decompressor: Decompressor,
    ) -> Result<Bytes, BatchError> {
        if target.level.is_brief(target.compression) {
            rt::task::begin_part("begin to compress a batch");
            let mut recompression = Recompression::begin(&view, target, &mut decompressor)?;
            rt::task::yield_if_needed().await;
            let block_bytes = self.workspace.block_bytes.of(target.compression);
            let step = || {
                let began = rt::time::now();
                let compressed = recompression.advance(RECOMPRESSION_STEP_BYTES, block_bytes.next());
                if recompression.has_ended_block() {
                    block_bytes.note(rt::time::now().since(began));
                }
                compressed
            };
            return self.workspace.in_steps("compress a batch", step).await;
        }
        let batch = self.batch.clone();
        let outcome = rt::task::run_aside(move || {
            BatchView::parse_only(&batch).and_then(|view| recompress(&view, target, &mut decompressor))
        });
        outcome.await.unwrap_or(Err(BatchError::Compressor))
    }
}

/// Whether a batch is compressed otherwise than its topic wants.
fn is_other(header: &BatchHeader, target: Target) -> bool {
    header.attributes.compression() != Some(target.compression)
}
