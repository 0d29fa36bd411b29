//! One bit of any file is another: what is derived is made anew or not believed, what is not is told with its place, and nothing panics.

use std::collections::BTreeMap;

use super::journal::journaled;
use super::*;
use crate::log::names::CLEAN_SHUTDOWN;

const FLIPS: usize = 150;

/// Numbers that depend on a seed alone.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// All files of a log directory, by their names below it.
type Files = BTreeMap<PathBuf, Vec<u8>>;

fn files_below(path: &Path) -> Files {
    let mut files = Files::new();
    for entry in fs::list(path).unwrap() {
        let found = path.join(&entry.name);
        if entry.is_directory {
            let below = files_below(&found).into_iter();
            files.extend(below.map(|(name, bytes)| (Path::new(&entry.name).join(name), bytes)));
        } else {
            files.insert(entry.name.into(), fs::read(&found).unwrap());
        }
    }
    files
}

fn lay_out(path: &Path, files: &Files) {
    fs::remove_directory_all(path).unwrap();
    for (name, bytes) in files {
        let file = path.join(name);
        fs::create_directory_all(file.parent().unwrap()).unwrap();
        let file = File::open(file, Open::Create).unwrap();
        file.write_at(FilePosition::ZERO, &[bytes]).unwrap();
    }
}

/// A log of several segments and, where the file system has one, its journal.
struct Written {
    /// As a kill leaves it, and as a clean stop does.
    killed: Files,
    closed: Files,
    /// With file and position.
    batches: Vec<(PathBuf, u64, Vec<u8>)>,
}

async fn written(path: &Path) -> Written {
    let directory = open_directory(path);
    let log = match journaled(&directory, 0).await {
        Some((log, _)) => log,
        None => open(&directory).await.0,
    };
    for number in 0..160_i32 {
        let bytes = match number % 2 {
            0 => idempotent(number, 2),
            _ => batch(3, i64::from(number) * 100),
        };
        let appended = append(&log, &bytes);
        if number % 5 == 0 {
            log.make_durable(appended.last_offset.next()).await.unwrap();
        }
    }
    let killed = files_below(path);
    let point = log.close().await.unwrap();
    directory.write_recovery_points([(&partition(), point)]).unwrap();
    directory.mark_clean_shutdown(7).unwrap();
    let closed = files_below(path);
    let mut batches = Vec::new();
    for (name, bytes) in &closed {
        if name.extension().is_some_and(|extension| extension == "log") {
            let mut position = 0;
            for batch in Batches::new(bytes) {
                let bytes = batch.unwrap().bytes().to_vec();
                let length = bytes.len() as u64;
                batches.push((name.clone(), position, bytes));
                position += length;
            }
        }
    }
    Written {
        killed,
        closed,
        batches,
    }
}

/// Batches that can be read, one at a time, and the error that ends them.
fn readable(log: &Log, bytes_max: u32) -> (Vec<Vec<u8>>, Option<StorageError>) {
    let mut found = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let range = match log.read(&request(offset.0, bytes_max)) {
            Ok(range) => range.unwrap().unwrap(),
            Err(error) => return (found, Some(error)),
        };
        let bytes = range.read().unwrap();
        for batch in Batches::new(&bytes) {
            let Ok(batch) = batch else { return (found, None) };
            found.push(batch.bytes().to_vec());
        }
        if range.next_offset <= offset {
            return (found, None);
        }
        offset = range.next_offset;
    }
    (found, None)
}

#[test]
fn a_flipped_bit_anywhere() {
    on_core(async |path| {
        let Written {
            killed,
            closed,
            batches,
        } = written(&path).await;
        let mut random = Random(0x5eed);
        for (files, was_closed) in [(&closed, true), (&killed, false)] {
            let names: Vec<_> = files.keys().filter(|name| name.as_os_str() != ".lock").collect();
            assert!(names.len() > 15, "{names:?}");
            for flip in 0..FLIPS {
                let name = names[flip % names.len()];
                let mut changed = files.clone();
                let bytes = changed.get_mut(name).unwrap();
                // A journal's file is zeroes behind its last group.
                let Some(last) = bytes.iter().rposition(|byte| *byte != 0 || !is_of_journal(name)) else {
                    continue;
                };
                let (at, bit) = (random.below(last + 1), random.below(8));
                bytes[at] ^= 1 << bit;
                let was_clean = was_closed && random.below(2) == 0;
                if !was_clean {
                    changed.remove(Path::new(CLEAN_SHUTDOWN));
                }
                lay_out(&path, &changed);
                let what = format!(
                    "{} at {at}, bit {bit}, closed {was_closed}, clean {was_clean}",
                    name.display()
                );
                check(&path, name, at as u64, &batches, &what).await;
            }
        }
    });
}

fn is_of_journal(name: &Path) -> bool {
    is_journal_file(&name.to_string_lossy())
}

async fn check(path: &Path, name: &Path, at: u64, batches: &[(PathBuf, u64, Vec<u8>)], what: &str) {
    let directory = match LogDirectory::open(path, Claim::of(NodeId(1))) {
        Ok(directory) => directory,
        Err(DirectoryError::Journal(error)) => {
            // A group between others is told with the name of the first file.
            let is_told = error.to_string().contains(&*name.to_string_lossy()) || at >= 4096;
            let is_needed = is_of_journal(name) && !fs::exists(path.join(CLEAN_SHUTDOWN)).unwrap();
            let has_other_id = name == Path::new("meta.properties");
            assert!(is_needed && is_told || has_other_id, "{what}: {error}");
            return;
        }
        Err(error) => {
            assert_eq!(name, Path::new("meta.properties"), "{what}: {error}");
            return;
        }
    };
    let is_log = name.extension().is_some_and(|extension| extension == "log");
    let hit = batches
        .iter()
        .position(|(file, begin, bytes)| file == name && (*begin..*begin + bytes.len() as u64).contains(&at));
    let open_request = directory.open_request(&partition(), SETTINGS, TimestampMs(0));
    let log = match Log::open(directory.health(), open_request).await {
        Ok((log, _)) => log,
        Err(StorageError::Damaged { path, position, .. }) => {
            assert!(
                path.ends_with(name) && position.0 == batches[hit.unwrap()].1,
                "{what}: {}",
                position
            );
            return;
        }
        Err(error) => panic!("{what}: {error}"),
    };
    for bytes_max in [1, 700, 1_000_000] {
        let (found, error) = readable(&log, bytes_max);
        let right = found
            .iter()
            .zip(batches)
            .take_while(|(found, (.., bytes))| *found == bytes)
            .count();
        match hit {
            // What is before the damage is served; of what is behind it, what can be.
            Some(hit) => assert!(is_log && right >= hit.min(found.len()), "{what}: {right} of {hit}"),
            None => assert!(
                error.is_none() && right == batches.len(),
                "{what}: {right} of {} {error:?}",
                batches.len()
            ),
        }
        if let Some(StorageError::Damaged { path, .. }) = error {
            assert!(path.ends_with(name), "{what}");
        }
    }
    if hit.is_none() {
        // Backwards, each is found by the index.
        for (.., bytes) in batches.iter().rev() {
            let base_offset = BatchView::parse(bytes).unwrap().header().base_offset;
            let range = log.read(&request(base_offset.0, 1)).unwrap().unwrap().unwrap();
            assert!(range.read().unwrap() == *bytes, "{what}: the batch at {base_offset}");
        }
    }
    let producers = log.with_state(|state| state.producers().len());
    assert!(hit.is_some() || producers == 1, "{what}: {producers} producers");
    if at.is_multiple_of(8) {
        append(&log, &batch(1, 1));
        log.close().await.unwrap();
    }
}
