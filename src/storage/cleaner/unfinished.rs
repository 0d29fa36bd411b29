//! At a start: finishes or takes back compactions that a stop has interrupted, by the table of `log::recovery::swap`.
//!
//! Can be interrupted at any moment and begun anew: the new segment has its mark until the old ones are known to be gone.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::write::KINDS;
use crate::base::offset::Offset;
use crate::base::time::TimestampMs;
use crate::log::names::{FileKind, FileMark, file_name, marked_file_name, parse_file_name, parse_marked_file_name};
use crate::log::recovery::WalkEnd;
use crate::log::recovery::rebuild::Rebuild;
use crate::log::recovery::swap::{SwapLog, SwapVerdict, verdict_for_marked};
use crate::rt::fs::{self, File, Open};
use crate::storage::error::{Health, StorageError};
use crate::storage::walk::Walk;

/// What is known of a new segment that was about to take its place.
struct Swap {
    log: SwapLog,
    /// Offset after its last batch.
    end_offset: Offset,
}

/// Brings the directory of a partition, with these names in it, into a state without unfinished compactions; returns how many were finished.
///
/// # Errors
/// [`StorageError::Damaged`] for a new segment that is not whole; [`StorageError::Offline`].
pub(in crate::storage) async fn settle_compactions(
    health: &Health,
    directory: &Path,
    names: &[String],
) -> Result<usize, StorageError> {
    let marked: Vec<_> = names.iter().filter_map(|name| parse_marked_file_name(name)).collect();
    let mut swaps = BTreeMap::new();
    for (base_offset, kind, mark) in &marked {
        if *kind == FileKind::Log && *mark == FileMark::Swap {
            swaps.insert(*base_offset, look_at(directory, *base_offset).await?);
        }
    }
    for (base_offset, kind, mark) in marked {
        let log = swaps.get(&base_offset).map_or(SwapLog::Missing, |swap| swap.log);
        let path = directory.join(marked_file_name(base_offset, kind, mark));
        match verdict_for_marked(mark, log) {
            SwapVerdict::Remove => {
                // One that cannot be removed harms nobody.
                let _ = fs::unlink(&path).await;
            }
            SwapVerdict::Finish => {}
            SwapVerdict::Quarantine => {
                return Err(StorageError::Damaged {
                    path,
                    position: Default::default(),
                    offset: base_offset,
                    what: "a compacted segment is not as it was written",
                });
            }
        }
    }
    for (base_offset, swap) in &swaps {
        let finished = finish(directory, *base_offset, swap.end_offset, names).await;
        finished.map_err(|error| health.fail("rename", directory, &error))?;
        tracing::info!(directory = %directory.display(), %base_offset, "a compaction that was interrupted is finished");
    }
    Ok(swaps.len())
}

/// Walks over a new segment.
async fn look_at(directory: &Path, base_offset: Offset) -> Result<Swap, StorageError> {
    let path = directory.join(marked_file_name(base_offset, FileKind::Log, FileMark::Swap));
    let failed = |source| StorageError::failed("read", &path)(source);
    let file = File::open(&path, Open::Read).map_err(failed)?;
    let walk = Walk {
        file: &file,
        length: file.len().map_err(failed)?,
        next_base: None,
        is_next_empty: false,
    };
    let mut rebuild = Rebuild::new(base_offset, TimestampMs::NONE, u32::MAX);
    let end = walk.run(&mut rebuild, |_| ()).await.map_err(failed)?;
    Ok(Swap {
        log: if end == WalkEnd::Complete {
            SwapLog::Whole
        } else {
            SwapLog::Damaged
        },
        end_offset: rebuild.next_offset(),
    })
}

/// Removes the segments in `[base_offset, end_offset)` for good, then gives the new one its names, its batches last.
async fn finish(directory: &Path, base_offset: Offset, end_offset: Offset, names: &[String]) -> io::Result<()> {
    for name in names {
        let Some((offset, kind)) = parse_file_name(name) else {
            continue;
        };
        // A new segment without batches replaces one, at the least.
        let is_replaced = offset == base_offset || (base_offset..end_offset).contains(&offset);
        if is_replaced && KINDS.contains(&kind) {
            fs::unlink(directory.join(name)).await?;
        }
    }
    fs::sync_names(directory).await?;
    for kind in KINDS {
        let swap = directory.join(marked_file_name(base_offset, kind, FileMark::Swap));
        match fs::rename(swap, directory.join(file_name(base_offset, kind))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    fs::sync_names(directory).await
}
