//! Puts a new segment in the place of the old ones, so that a crash at any moment leaves the ones or the other.

use std::path::PathBuf;

use super::Ended;
use super::write::{Cleaned, KINDS};
use crate::base::offset::Offset;
use crate::log::Segment;
use crate::log::names::{FileKind, FileMark, file_name, marked_file_name};
use crate::rt::fs::{self, Directory};
use crate::rt::task;
use crate::storage::Log;
use crate::storage::files::{SegmentFiles, SwappingFiles};

impl Log {
    /// Puts `cleaned` in the place of `run`, whose files get other names, added to `removed`.
    pub(super) async fn swap_in(
        &self,
        run: &[Segment],
        cleaned: Cleaned,
        removed: &mut Vec<PathBuf>,
    ) -> Result<Segment, Ended> {
        // Retention removes segments too: one at a time.
        let _turn = self.inner.durability.trimming.enter().await;
        task::begin_part("compaction: swap");
        self.check_compactable()?;
        let base_offset = cleaned.segment.base_offset;
        if !self.holds_run(run) {
            return Err(Ended::GivenUp);
        }
        let path = self.path();
        let opened = Directory::open(&path);
        let directory = opened.map_err(|error| self.inner.health.fail("open", &path, &error))?;
        for kind in &cleaned.kinds {
            let from = marked_file_name(base_offset, *kind, FileMark::Cleaned);
            let swap = marked_file_name(base_offset, *kind, FileMark::Swap);
            let renamed = directory.rename(&from, &swap).await;
            self.check_named()?;
            renamed.map_err(|error| self.write_failed("rename", &path.join(from), error))?;
        }
        self.sync_swap(&directory).await?;
        let Cleaned {
            segment: new,
            files,
            kinds,
        } = cleaned;
        self.replace_in_memory(run, new, files);
        for segment in run {
            self.set_aside(&directory, segment.base_offset, removed).await?;
        }
        self.sync_swap(&directory).await?;
        for kind in &kinds {
            let swap = marked_file_name(base_offset, *kind, FileMark::Swap);
            self.rename_for_swap(&directory, &swap, &file_name(base_offset, *kind))
                .await?;
        }
        self.inner.files.borrow_mut().swapping = None;
        self.sync_swap(&directory).await?;
        Ok(new)
    }

    fn holds_run(&self, run: &[Segment]) -> bool {
        self.with_state(|state| {
            let begin = run.first().map_or(0, |first| state.segment_index_of(first.base_offset));
            let held = state.segments().iter().skip(begin).take(run.len());
            held.map(|segment| segment.base_offset)
                .eq(run.iter().map(|segment| segment.base_offset))
        })
    }

    /// From here on readers are given the new files, which stay open until they have a name.
    fn replace_in_memory(&self, run: &[Segment], new: Segment, new_files: SwappingFiles) {
        let mut files = self.inner.files.borrow_mut();
        let is_replaced = self.inner.state.borrow_mut().replace_segments(run, new);
        crate::check!(is_replaced, "the segments of a run stay while nobody may remove them");
        for segment in run {
            files.forget(segment.base_offset);
        }
        let swapping = SegmentFiles::swapping(&files.directory, new.base_offset, new_files);
        files.swapping = Some(swapping);
    }

    /// Gives the files of an old segment the names of files that are to be removed.
    async fn set_aside(
        &self,
        directory: &Directory,
        base_offset: Offset,
        removed: &mut Vec<PathBuf>,
    ) -> Result<(), Ended> {
        let path = self.path();
        for kind in KINDS {
            let deleted = marked_file_name(base_offset, kind, FileMark::Deleted);
            let name = file_name(base_offset, kind);
            if kind != FileKind::Log && !fs::exists(path.join(&name)).unwrap_or(true) {
                continue;
            }
            let put_away = self.inner.health.put_away(directory, &name, &deleted).await;
            self.check_named()?;
            if put_away.map_err(|error| self.inner.health.fail("rename", &path.join(name), &error))? {
                removed.push(path.join(deleted));
            }
        }
        Ok(())
    }

    /// A deleted partition's directory has another name, and its old one may be another partition's.
    fn check_named(&self) -> Result<(), Ended> {
        self.inner.health.check()?;
        if self.inner.durability.is_retired() {
            return Err(Ended::GivenUp);
        }
        Ok(())
    }

    async fn rename_for_swap(&self, directory: &Directory, from: &str, to: &str) -> Result<(), Ended> {
        let renamed = directory.rename(from, to).await;
        self.check_named()?;
        Ok(renamed.map_err(|error| self.inner.health.fail("rename", &self.path().join(from), &error))?)
    }

    async fn sync_swap(&self, directory: &Directory) -> Result<(), Ended> {
        let synced = directory.sync().await;
        self.check_named()?;
        Ok(synced.map_err(|error| self.inner.health.fail("sync", &self.path(), &error))?)
    }
}
