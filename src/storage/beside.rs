//! Small files that stand beside a log and that the log itself knows nothing of, like the snapshots of the metadata log.

use std::io;

use super::checkpoint::replace_file_in_steps;
use super::error::StorageError;
use super::log::Log;
use crate::rt::fs;

impl Log {
    /// The names of all files in the log's directory.
    ///
    /// # Errors
    /// What the disk says.
    pub fn files_beside(&self) -> Result<Vec<String>, StorageError> {
        let path = self.path();
        let entries = fs::list(&path).map_err(StorageError::failed("list", &path))?;
        let files = entries.into_iter().filter(|entry| !entry.is_directory);
        Ok(files.filter_map(|entry| entry.name.into_string().ok()).collect())
    }

    /// All of a file in the log's directory; `None` when there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read_beside(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        read_if_there(&self.path().join(name))
    }

    /// All of a file in the log directory, the one above; `None` when there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read_above(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        read_if_there(&self.path().with_file_name(name))
    }

    /// Gives a file in the log's directory new content; a crash leaves the old or the new.
    ///
    /// # Errors
    /// [`StorageError::Offline`].
    pub async fn write_beside(&self, name: &str, content: &[u8]) -> Result<(), StorageError> {
        self.inner.health.check()?;
        let path = self.path().join(name);
        let written = replace_file_in_steps(&path, content).await;
        written.map_err(|error| self.inner.health.fail("write", &path, &error))
    }

    /// Takes a file in the log's directory away; one that cannot be is left, and told of.
    pub fn remove_beside(&self, name: &str) {
        let path = self.path().join(name);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "a file that is not needed any more is left");
        }
    }
}

fn read_if_there(path: &std::path::Path) -> Result<Option<Vec<u8>>, StorageError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::failed("read", path)(error)),
    }
}
