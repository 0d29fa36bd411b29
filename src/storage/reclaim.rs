//! Removes files so that nobody waits for it: by the pace of `log::reclaim`, one for all cores that share a directory.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::error::{Health, is_full};
use crate::base::time::Monotonic;
use crate::log::names::holds_records;
use crate::log::reclaim::{PIECE_BYTES, rest};
use crate::log::room::Room;
use crate::rt::fs::{self, Directory, File};
use crate::rt::{task, time};

/// Whose turn it is to free a piece of a file.
#[derive(Debug)]
pub(super) struct Reclaim {
    /// The disk is told which blocks are free.
    is_told: AtomicBool,
    /// When the next piece may go, on the monotonic clock.
    next: AtomicU64,
}

impl Reclaim {
    pub(super) fn of(directory: &Path) -> Arc<Self> {
        Arc::new(Self {
            is_told: AtomicBool::new(fs::discards(directory)),
            next: AtomicU64::new(0),
        })
    }

    /// From now on it is told, whatever the file system says.
    #[cfg(all(test, not(feature = "sim")))]
    pub(super) fn note_told(&self) {
        self.is_told.store(true, Ordering::Relaxed);
    }

    /// How long to wait for the turn that is taken by this, when the disk rests for `rest` after it.
    fn take_turn(&self, now: Monotonic, rest: Duration) -> Duration {
        let after = |next: u64| Monotonic(next.max(now.0)).plus(rest).0;
        let taken = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| Some(after(next)));
        let turn = taken.unwrap_or_else(|next| next);
        Monotonic(turn).since(now)
    }
}

impl Health {
    /// Removes a file of this directory that should have gone at `due`: it has no name any more when this returns.
    ///
    /// # Errors
    /// What `open(2)` and `unlink(2)` say.
    pub async fn remove_file(&self, path: &Path, due: Monotonic) -> io::Result<()> {
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        if !self.may_go_slowly(&name) {
            return fs::unlink(path).await;
        }
        let file = File::find(path).await?;
        fs::unlink(path).await?;
        self.free(file, due).await;
        Ok(())
    }

    /// Gives a file the name of one that is to be removed later, in the place of one that has that name already. A new name may need room:
    /// where there is none the file goes at once, and this is false.
    pub(super) async fn put_away(&self, directory: &Directory, name: &str, new_name: &str) -> io::Result<bool> {
        let replaced = match self.may_go_slowly(name) {
            true => directory.find_file(new_name).await.ok(),
            false => None,
        };
        match directory.rename(name, new_name).await {
            Err(error) if is_full(&error) => directory.unlink(name).await.map(|()| false),
            Err(error) => Err(error),
            Ok(()) => {
                if let Some(file) = replaced {
                    let health = self.clone();
                    task::spawn_background(async move { health.free(file, time::now()).await });
                }
                Ok(true)
            }
        }
    }

    fn may_go_slowly(&self, name: &str) -> bool {
        self.reclaim().is_told.load(Ordering::Relaxed) && holds_records(name) && self.room() == Room::Enough
    }

    /// Frees a file that has no name any more: bit by bit, unless somebody reads it still.
    async fn free(&self, file: File, due: Monotonic) {
        if file.is_open_elsewhere() {
            return;
        }
        if let Err(error) = self.shorten(&file, due).await {
            // The rest goes with the handle.
            tracing::debug!(%error, "a removed file is not freed bit by bit");
        }
    }

    async fn shorten(&self, file: &File, due: Monotonic) -> io::Result<()> {
        let mut length = file.len()?;
        while length > PIECE_BYTES && self.room() == Room::Enough {
            let now = time::now();
            time::sleep(self.reclaim().take_turn(now, rest(now.since(due)))).await;
            length -= PIECE_BYTES;
            file.give_back_behind(length).await?;
            // Blocks are free when the file system has written that down: else it would tell the disk of many pieces at once.
            file.sync_data().await?;
        }
        Ok(())
    }
}
