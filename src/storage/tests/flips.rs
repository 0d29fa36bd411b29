//! One bit of any file is another: what is derived is made anew or not believed, what is not is told with its place, and nothing panics.

use std::collections::BTreeMap;

use super::*;

const FLIPS: u64 = 300;

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

/// A log of several segments, closed; its batches with file and position.
async fn written(path: &Path) -> (Files, Vec<(PathBuf, u64, Vec<u8>)>) {
    let directory = open_directory(path);
    let log = new_log(&directory, TopicId([1; 16])).await;
    for number in 0..160_i32 {
        let bytes = match number % 2 {
            0 => idempotent(number, 2),
            _ => batch(3, i64::from(number) * 100),
        };
        append(&log, &bytes);
    }
    let point = log.close().await.unwrap();
    directory.write_recovery_points([(&partition(), point)]).unwrap();
    directory.mark_clean_shutdown(7).unwrap();
    let files = files_below(path);
    let mut batches = Vec::new();
    for (name, bytes) in &files {
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
    (files, batches)
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
        let (files, batches) = written(&path).await;
        let names: Vec<_> = files
            .keys()
            .filter(|name| name.as_os_str() != ".lock")
            .cloned()
            .collect();
        assert!(names.len() > 15, "{names:?}");
        let mut random = Random(0x5eed);
        for flip in 0..FLIPS {
            let name = &names[usize::try_from(flip).unwrap() % names.len()];
            let mut changed = files.clone();
            let bytes = changed.get_mut(name).unwrap();
            if bytes.is_empty() {
                continue;
            }
            let (at, bit) = (random.below(bytes.len()), random.below(8));
            bytes[at] ^= 1 << bit;
            let was_clean = random.below(2) == 0;
            if !was_clean {
                changed.remove(Path::new(".kafka_cleanshutdown"));
            }
            lay_out(&path, &changed);
            let what = format!("{} at {at}, bit {bit}, clean {was_clean}", name.display());
            check(&path, name, at as u64, &batches, &what).await;
        }
    });
}

async fn check(path: &Path, name: &Path, at: u64, batches: &[(PathBuf, u64, Vec<u8>)], what: &str) {
    let Ok(directory) = LogDirectory::open(path, NodeId(1), None) else {
        assert_eq!(name, Path::new("meta.properties"), "{what}");
        return;
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
