//! The checkpoint files: small tables as text.
//!
//! ```text
//! 0                        version
//! 2                        number of lines
//! topic-name 3 12345       topic, partition, offset         (offset checkpoints of a log directory)
//! 4 12345                  leader epoch, start offset       (leader-epoch-checkpoint of a partition)
//! ```
//!
//! (`CheckpointFile`, `OffsetCheckpointFile`, `LeaderEpochCheckpointFile`.)

use std::fmt::Write as _;
use std::sync::Arc;

use thiserror::Error;

use crate::base::ids::{LeaderEpoch, TopicPartition};
use crate::base::offset::Offset;

use super::epochs::EpochStart;

const VERSION: &str = "0";

/// The file is torn, or of an unknown version: do without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("checkpoint file is torn or of an unknown version")]
pub struct BadCheckpoint;

/// The text of an offset checkpoint.
#[must_use]
pub fn encode_offsets<'a>(entries: impl IntoIterator<Item = (&'a TopicPartition, Offset)>) -> String {
    let mut lines = String::new();
    let mut count = 0;
    for (partition, offset) in entries {
        let _ = writeln!(lines, "{} {} {offset}", partition.topic, partition.partition);
        count += 1;
    }
    format!("{VERSION}\n{count}\n{lines}")
}

/// Reads an offset checkpoint.
///
/// # Errors
/// [`BadCheckpoint`] when it is not whole.
pub fn decode_offsets(text: &[u8]) -> Result<Vec<(TopicPartition, Offset)>, BadCheckpoint> {
    decode(text, |fields| {
        let [topic, partition, offset] = fields else {
            return None;
        };
        let partition = TopicPartition {
            topic: Arc::from(*topic),
            partition: partition.parse().ok()?,
        };
        Some((partition, Offset(offset.parse().ok()?)))
    })
}

/// The text of a leader epoch checkpoint.
#[must_use]
pub fn encode_epochs(entries: &[EpochStart]) -> String {
    let mut text = format!("{VERSION}\n{}\n", entries.len());
    for entry in entries {
        let _ = writeln!(text, "{} {}", entry.epoch.0, entry.start_offset);
    }
    text
}

/// Reads a leader epoch checkpoint.
///
/// # Errors
/// [`BadCheckpoint`] when it is not whole.
pub fn decode_epochs(text: &[u8]) -> Result<Vec<EpochStart>, BadCheckpoint> {
    decode(text, |fields| {
        let [epoch, offset] = fields else {
            return None;
        };
        Some(EpochStart {
            epoch: LeaderEpoch(epoch.parse().ok()?),
            start_offset: Offset(offset.parse().ok()?),
        })
    })
}

fn decode<T>(text: &[u8], parse: impl Fn(&[&str]) -> Option<T>) -> Result<Vec<T>, BadCheckpoint> {
    let text = std::str::from_utf8(text).map_err(|_| BadCheckpoint)?;
    // A file that was torn inside its last number would otherwise read as a smaller number.
    let mut lines = text.strip_suffix('\n').ok_or(BadCheckpoint)?.lines();
    if lines.next() != Some(VERSION) {
        return Err(BadCheckpoint);
    }
    let count: usize = lines.next().and_then(|line| line.parse().ok()).ok_or(BadCheckpoint)?;
    let entries: Option<Vec<T>> = lines
        .map(|line| parse(&line.split_whitespace().collect::<Vec<_>>()))
        .collect();
    entries.filter(|entries| entries.len() == count).ok_or(BadCheckpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_kafkas_text() {
        let partition = |topic: &str, partition| TopicPartition {
            topic: Arc::from(topic),
            partition,
        };
        let entries = [(partition("a", 0), Offset(7)), (partition("b-c", 12), Offset(0))];
        let text = encode_offsets(entries.iter().map(|(partition, offset)| (partition, *offset)));
        assert_eq!(text, "0\n2\na 0 7\nb-c 12 0\n");
        assert_eq!(decode_offsets(text.as_bytes()).unwrap(), entries);
        assert_eq!(decode_offsets(b"0\n0\n").unwrap(), []);
    }

    #[test]
    fn epochs_are_kafkas_text() {
        let entries = [(0, 0), (5, 1000)].map(|(epoch, offset)| EpochStart {
            epoch: LeaderEpoch(epoch),
            start_offset: Offset(offset),
        });
        let text = encode_epochs(&entries);
        assert_eq!(text, "0\n2\n0 0\n5 1000\n");
        assert_eq!(decode_epochs(text.as_bytes()).unwrap(), entries);
    }

    #[test]
    fn torn_files_are_refused() {
        let whole = "0\n2\n0 0\n5 1000\n";
        for length in 0..whole.len() {
            assert_eq!(
                decode_epochs(&whole.as_bytes()[..length]),
                Err(BadCheckpoint),
                "{length}"
            );
        }
        for bad in [
            "1\n0\n",
            "0\n-1\n",
            "0\n1\nx 0\n",
            "0\n1\n1 2 3\n",
            "0\n1\n1 2\n3 4\n",
            "0\n99999999999999999999\n",
        ] {
            assert_eq!(decode_epochs(bad.as_bytes()), Err(BadCheckpoint), "{bad}");
        }
        assert_eq!(decode_epochs(&[0; 20]), Err(BadCheckpoint));
    }
}
