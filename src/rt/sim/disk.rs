//! The model of a disk under a file system, and of what a crash does to it.
//!
//! **Two images.** Programs see the *live* image: every write at once, every name at once. The *durable* image is what survives.
//!
//! **Data.** A write reaches the durable image when a sync of its file that began after it has ended. Until then a crash treats each of
//! its sectors (512 bytes) on its own: it survives or it does not, whatever was written before or after it. Sectors never tear
//! inside. The file may come back as long as it was while the sectors that did not survive read as zeroes, or end after the last one
//! that did. Truncations since the last sync survive or not, in their order among the writes.
//!
//! **Names.** Creating, renaming and removing become durable when the directory is synced. Before that, a crash keeps the first few of
//! the changes of each directory, in order: a file system keeps a journal of them. A rename is one change. Syncing a file does not
//! make its name durable.
//!
//! **Errors.** A test may ask for one failed write (nothing is written), one failed sync (the writes it should have covered survive or
//! not as in a crash, and no later sync covers them: Linux forgets dirty pages after an error), and for a disk that is full after so
//! many bytes: nothing is written then, and no rename gives a name that its directory has never had. Removed files give room back.
//! Blocks that are reserved behind the end of a file take room until they are written or the file is truncated; one such reservation may
//! fail, or find half of its room.
//!
//! **A crash** happens at a chosen operation: the image is taken there, and what the program does afterwards is for nothing.
//!
//! Not modelled: sectors that change by themselves, reads that fail.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::inode::{Inode, SharedInode, look_into};
use super::random::Random;

/// What a crash left behind, or what a test lays before the start: files and directories by path.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Image {
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    pub directories: Vec<PathBuf>,
}

/// What a name takes that its directory has never had.
const NAME_BYTES: u64 = 512;

/// What goes wrong, and when. Operations are counted from 1.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    /// The operation after which the machine is gone.
    pub crash_at: Option<u64>,
    /// The write that fails.
    pub fail_write: Option<u64>,
    /// The sync that fails.
    pub fail_sync: Option<u64>,
    /// The reservation of blocks that finds no room, counted by itself. `fail_write` counts reservations among the writes.
    pub fail_reserve: Option<u64>,
    /// Bytes that fit the disk, over all writes; removed files give theirs back.
    pub full_after_bytes: Option<u64>,
    /// The machine holds those who write on the spot for so long: the disk takes less than it is given.
    pub writers_wait: Duration,
    /// Syncs of files say yes and do nothing: a disk that lies, to try tests with.
    pub data_syncs_lie: bool,
    /// So do syncs of directories.
    pub name_syncs_lie: bool,
}

#[derive(Clone, Debug)]
enum Node {
    File(SharedInode),
    Directory,
}

impl Node {
    fn file(&self) -> Option<SharedInode> {
        match self {
            Self::File(inode) => Some(Arc::clone(inode)),
            Self::Directory => None,
        }
    }
}

/// One change of names in a directory since its last sync.
#[derive(Clone, Debug)]
enum NameChange {
    Add(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

/// The disk of one simulation.
#[derive(Debug)]
pub(super) struct Disk {
    live: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    /// A directory has room for every name that was ever in it.
    names_made: BTreeSet<PathBuf>,
    /// By directory, in order.
    name_changes: BTreeMap<PathBuf, Vec<NameChange>>,
    faults: Faults,
    random: Random,
    operations: u64,
    writes: u64,
    syncs: u64,
    reserves: u64,
    bytes_taken: u64,
    crashed: Option<Image>,
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn broken() -> io::Error {
    io::Error::other("the simulated disk failed")
}

impl Disk {
    pub(super) fn new(image: &Image, faults: Faults, random: Random) -> Self {
        let mut names = BTreeMap::from(["", "/"].map(|root| (PathBuf::from(root), Node::Directory)));
        for directory in &image.directories {
            names.insert(directory.clone(), Node::Directory);
        }
        for (path, bytes) in &image.files {
            let inode = Inode::new(bytes);
            for above in path.ancestors().skip(1) {
                names.insert(above.to_owned(), Node::Directory);
            }
            names.insert(path.clone(), Node::File(inode.share()));
        }
        Self {
            live: names.clone(),
            names_made: names.keys().cloned().collect(),
            durable: names,
            name_changes: BTreeMap::new(),
            faults,
            random,
            operations: 0,
            writes: 0,
            syncs: 0,
            reserves: 0,
            bytes_taken: 0,
            crashed: None,
        }
    }

    pub(super) fn has_crashed(&self) -> bool {
        self.crashed.is_some()
    }

    pub(super) fn writers_wait(&self) -> Duration {
        self.faults.writers_wait
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    /// Microseconds that the next operation of the disk takes.
    pub(super) fn draw_latency_us(&mut self) -> u64 {
        20 + self.random.below(400)
    }

    /// Bytes that still fit; `None` for a disk that has no end.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let room = self.faults.full_after_bytes?;
        Some(room.saturating_sub(self.bytes_taken))
    }

    /// Counts an operation; the crash comes after the one that was chosen, hence before the next.
    pub(super) fn begin_operation(&mut self) {
        if self.crashed.is_none() && self.faults.crash_at == Some(self.operations) {
            self.crashed = Some(self.image_after_crash());
        }
        self.operations += 1;
    }

    /// What a crash now would leave behind; the same again when one has happened.
    pub(super) fn crash(&mut self) -> Image {
        match &self.crashed {
            Some(image) => image.clone(),
            None => self.image_after_crash(),
        }
    }

    fn image_after_crash(&mut self) -> Image {
        let mut names = self.durable.clone();
        for changes in self.name_changes.values() {
            let kept = self.random.index(changes.len() + 1);
            for change in &changes[..kept] {
                apply_name_change(&mut names, change);
            }
        }
        let mut image = Image::default();
        for (path, node) in &names {
            let is_reachable = path.ancestors().skip(1).all(|above| names.contains_key(above));
            match node {
                Node::Directory if is_reachable => image.directories.push(path.clone()),
                Node::File(inode) if is_reachable => {
                    let bytes = look_into(inode).after_crash(&mut self.random);
                    image.files.insert(path.clone(), bytes);
                }
                Node::Directory | Node::File(_) => {}
            }
        }
        image
    }
}

/// Names.
impl Disk {
    pub(super) fn find(&self, path: &Path) -> Option<SharedInode> {
        match self.live.get(path) {
            Some(Node::File(inode)) => Some(Arc::clone(inode)),
            Some(Node::Directory) | None => None,
        }
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        self.live.contains_key(path)
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<SharedInode> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if !matches!(self.live.get(parent), Some(Node::Directory)) {
            return Err(not_found());
        }
        let inode = SharedInode::default();
        self.change(parent, NameChange::Add(path.to_owned(), Node::File(Arc::clone(&inode))));
        Ok(inode)
    }

    pub(super) fn create_directory_all(&mut self, path: &Path) -> io::Result<()> {
        let missing: Vec<PathBuf> = path
            .ancestors()
            .filter(|above| !self.live.contains_key(*above))
            .map(Path::to_owned)
            .collect();
        for directory in missing.into_iter().rev() {
            let parent = directory.parent().unwrap_or(Path::new("")).to_owned();
            self.change(&parent, NameChange::Add(directory, Node::Directory));
        }
        Ok(())
    }

    /// The names in a directory; those of directories have no file.
    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<(PathBuf, Option<SharedInode>)>> {
        if !matches!(self.live.get(path), Some(Node::Directory)) {
            return Err(not_found());
        }
        let inside = self.live.iter().filter(|(name, _)| name.parent() == Some(path));
        Ok(inside.map(|(name, node)| (name.clone(), node.file())).collect())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if !self.live.contains_key(from) {
            return Err(not_found());
        }
        if self.free_bytes().is_some_and(|free| free < NAME_BYTES) && !self.names_made.contains(to) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let parent = to.parent().unwrap_or(Path::new("")).to_owned();
        self.change(&parent, NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path).ok_or_else(not_found)?;
        self.bytes_taken = self.bytes_taken.saturating_sub(look_into(&inode).allocated_bytes());
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        self.change(&parent, NameChange::Remove(path.to_owned()));
        Ok(())
    }

    pub(super) fn remove_directory_all(&mut self, path: &Path) -> io::Result<()> {
        if !self.live.contains_key(path) {
            return Err(not_found());
        }
        let inside: Vec<PathBuf> = self
            .live
            .keys()
            .filter(|name| name.starts_with(path))
            .cloned()
            .collect();
        for name in inside.into_iter().rev() {
            let parent = name.parent().unwrap_or(Path::new("")).to_owned();
            self.change(&parent, NameChange::Remove(name));
        }
        Ok(())
    }

    /// Changes of names in a directory that are not durable: a sync that begins now covers so many.
    pub(super) fn name_changes(&self, path: &Path) -> usize {
        self.name_changes.get(path).map_or(0, Vec::len)
    }

    /// Ends a sync that covers the first `covered` changes of names.
    pub(super) fn sync_directory(&mut self, path: &Path, covered: usize) -> io::Result<()> {
        self.count_sync()?;
        if self.faults.name_syncs_lie {
            return Ok(());
        }
        let Some(changes) = self.name_changes.get_mut(path) else {
            return Ok(());
        };
        let covered = covered.min(changes.len());
        for change in changes.drain(..covered) {
            apply_name_change(&mut self.durable, &change);
        }
        Ok(())
    }

    fn change(&mut self, directory: &Path, change: NameChange) {
        if let NameChange::Add(name, _) | NameChange::Rename(_, name) = &change {
            self.names_made.insert(name.clone());
        }
        apply_name_change(&mut self.live, &change);
        self.name_changes.entry(directory.to_owned()).or_default().push(change);
    }
}

fn apply_name_change(names: &mut BTreeMap<PathBuf, Node>, change: &NameChange) {
    match change {
        NameChange::Add(path, node) => {
            names.insert(path.clone(), node.clone());
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
        NameChange::Rename(from, to) => {
            let moved: Vec<PathBuf> = names.keys().filter(|name| name.starts_with(from)).cloned().collect();
            for old in moved {
                let Some(node) = names.remove(&old) else { continue };
                let new = match old.strip_prefix(from) {
                    Ok(rest) if !rest.as_os_str().is_empty() => to.join(rest),
                    Ok(_) | Err(_) => to.clone(),
                };
                names.insert(new, node);
            }
        }
    }
}

/// Data.
impl Disk {
    pub(super) fn write(&mut self, inode: &SharedInode, position: usize, bytes: Vec<u8>) -> io::Result<()> {
        self.writes += 1;
        if self.faults.fail_write == Some(self.writes) {
            return Err(broken());
        }
        let mut inode = look_into(inode);
        let taken = inode.bytes_not_reserved(position, bytes.len());
        if self.free_bytes().is_some_and(|free| free < taken) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes_taken += taken;
        inode.write(position, bytes);
        Ok(())
    }

    pub(super) fn truncate(&mut self, inode: &SharedInode, length: usize) {
        let mut inode = look_into(inode);
        self.bytes_taken = self.bytes_taken.saturating_sub(inode.bytes_reserved_behind(length));
        inode.truncate(length);
    }

    /// Reserves what is missing before `position + length`. Where that finds no room, half of it stays reserved.
    pub(super) fn reserve(&mut self, inode: &SharedInode, position: u64, length: u64) -> io::Result<()> {
        self.writes += 1;
        self.reserves += 1;
        if self.faults.fail_write == Some(self.writes) {
            return Err(broken());
        }
        let mut inode = look_into(inode);
        let missing = (position + length).saturating_sub(inode.allocated_bytes());
        let finds_room =
            self.faults.fail_reserve != Some(self.reserves) && self.free_bytes().is_none_or(|free| free >= missing);
        let found = if finds_room { missing } else { missing / 2 };
        let found = found.min(self.free_bytes().unwrap_or(u64::MAX));
        self.bytes_taken += found;
        inode.reserve_more(found);
        match finds_room {
            true => Ok(()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    /// Ends a sync that covers the changes with numbers below `covered`.
    pub(super) fn sync(&mut self, inode: &SharedInode, covered: u64) -> io::Result<()> {
        let counted = self.count_sync();
        if self.faults.data_syncs_lie {
            return counted;
        }
        match counted {
            Ok(()) => look_into(inode).synced(covered),
            Err(_) => look_into(inode).lost(covered, &mut self.random),
        }
        counted
    }

    /// Ends a sync of everything.
    pub(super) fn sync_all(&mut self) -> io::Result<()> {
        let directories: Vec<PathBuf> = self.name_changes.keys().cloned().collect();
        for directory in directories {
            self.sync_directory(&directory, usize::MAX)?;
        }
        let files: Vec<SharedInode> = self.live.values().filter_map(Node::file).collect();
        for inode in files {
            self.sync(&inode, u64::MAX)?;
        }
        Ok(())
    }

    fn count_sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        if self.faults.fail_sync == Some(self.syncs) {
            return Err(broken());
        }
        Ok(())
    }
}
