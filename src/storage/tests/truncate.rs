//! The end of a log is taken back. Crashes are in `tests/sim.rs`.

use super::journal::journaled;
use super::*;

#[test]
fn a_log_ends_before_the_batch_that_holds_the_offset() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let log = new_log(&directory, TopicId([7; 16])).await;
        for index in 0..100 {
            append(&log, &idempotent(index * 3, 3));
        }
        log.checkpoint().await.unwrap();
        for index in 100..200 {
            append(&log, &idempotent(index * 3, 3));
        }
        log.make_durable(Offset(600)).await.unwrap();
        let second = log.with_state(|state| state.segments()[1].base_offset.0);
        for (to, expected) in [
            (600, 600),
            (700, 600),
            (599, 597),
            (450, 450),
            (301, 300),
            (200, 198),
            (second, second),
            (second - 1, second - 3),
            (1, 0),
            (0, 0),
        ] {
            let end = log.truncate_to(Offset(to), TimestampMs(5)).await.unwrap();
            assert_eq!((end.0, log.log_end_offset().0), (expected, expected), "to {to}");
            assert_eq!(log.durable_end_offset(), end, "to {to}");
            let bases: Vec<i64> = (0..expected / 3).map(|index| index * 3).collect();
            assert_eq!(read_all(&log, 1000), bases, "to {to}");
            let next = i32::try_from(expected).unwrap();
            let last = log.with_state(|state| {
                state
                    .producers()
                    .get(ProducerId(9))
                    .map(|entry| entry.last_sequence().0)
            });
            assert_eq!(
                last,
                (next > 0).then(|| next - 1),
                "to {to}: what the producer wrote last"
            );
            assert_eq!(
                append(&log, &idempotent(next, 3)).base_offset,
                end,
                "to {to}: the log goes on"
            );
            log.make_durable(end.plus(3)).await.unwrap();
            log.truncate_to(end, TimestampMs(5)).await.unwrap();
        }
        append(&log, &idempotent(0, 3));
        let end = log.close().await.unwrap();
        directory.write_recovery_points([(&partition(), end)]).unwrap();
        directory.mark_clean_shutdown(0).unwrap();
        drop((log, directory));
        let directory = open_directory(&path);
        let (log, report) = open(&directory).await;
        assert_eq!((report, log.log_end_offset()), (Report::default(), Offset(3)));
        let names = fs::list(log.path()).unwrap().into_iter();
        let left = names.filter(|entry| entry.name.to_string_lossy().ends_with(".deleted"));
        assert_eq!(left.count(), 0);
    });
}

#[test]
fn what_the_journal_has_of_it_does_not_come_back() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let Some((log, journal)) = journaled(&directory, 0).await else {
            return;
        };
        let kept = log.log_end_offset();
        for index in 0..10 {
            let end = append(&log, &batch(2, index)).last_offset.next();
            log.make_durable(end).await.unwrap();
        }
        log.truncate_to(kept, TimestampMs(5)).await.unwrap();
        let end = append(&log, &batch(1, 77)).last_offset.next();
        let groups = journal.statistics().groups;
        log.make_durable(end).await.unwrap();
        assert_eq!(journal.statistics().groups, groups + 1, "the journal is in use again");
        let segment = log.path().join(file_name(Offset(0), FileKind::Log));
        let expected = fs::read(&segment).unwrap();
        // A crash of the machine: what only the journal has is lost in the segment.
        let file = File::open(&segment, Open::ReadWrite).unwrap();
        file.truncate(file.len().unwrap() - batch(1, 77).len() as u64).unwrap();
        drop((log, journal, directory));
        let directory = open_directory(&path);
        assert!(fs::read(&segment).unwrap() == expected);
        let (log, _) = open(&directory).await;
        assert_eq!(log.log_end_offset(), end);
    });
}
