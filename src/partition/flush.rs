//! When an append must be on the disk: because its producer asked, or because the topic's settings say so.

use std::time::Duration;

use super::Partition;
use crate::config::Durability;

impl Partition {
    /// Whether the answer to an append that was just made waits for the disk. `is_asked`: by its producer, with acks=all. A topic with
    /// `durability=memory` does not do as asked; one with `flush.messages` waits when so many records are not on the disk, whoever asked
    /// (`UnifiedLog.append`).
    #[must_use]
    pub fn waits_for_disk(&self, is_asked: bool) -> bool {
        let config = self.config.borrow();
        let unflushed = self.log.log_end_offset().distance_from(self.log.durable_end_offset());
        must_wait(is_asked, config.durability, unflushed, config.flush_messages)
    }

    /// The time within which what was just appended must be on the disk by `flush.ms`; `None` when a flush is waited for already, or the topic
    /// has no such time. Whoever takes it calls [`Partition::durable`] then, and [`Partition::flush_began`] before.
    #[must_use]
    pub fn take_flush_time(&self) -> Option<Duration> {
        let flush_ms = self.config.borrow().flush_ms;
        if flush_ms == i64::MAX || self.is_flush_due.replace(true) {
            return None;
        }
        Some(Duration::from_millis(u64::try_from(flush_ms).unwrap_or(0)))
    }

    /// The flush that was waited for begins: later appends need another.
    pub fn flush_began(&self) {
        self.is_flush_due.set(false);
    }
}

fn must_wait(is_asked: bool, durability: Durability, unflushed: i64, flush_messages: i64) -> bool {
    let has_asked = is_asked && durability == Durability::Disk;
    has_asked || unflushed >= flush_messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_the_disk() {
        let table = [
            ("acks=all", true, Durability::Disk, 1, i64::MAX, true),
            ("acks=1", false, Durability::Disk, 1, i64::MAX, false),
            ("acks=all in memory", true, Durability::Memory, 1, i64::MAX, false),
            ("acks=1, each record is flushed", false, Durability::Disk, 1, 1, true),
            (
                "acks=all in memory, each record is flushed",
                true,
                Durability::Memory,
                1,
                1,
                true,
            ),
            ("acks=1, below the limit", false, Durability::Disk, 9, 10, false),
            ("acks=1, at the limit", false, Durability::Disk, 10, 10, true),
            ("a repeat of what is flushed", false, Durability::Disk, 0, 1, false),
        ];
        for (what, is_asked, durability, unflushed, flush_messages, expected) in table {
            assert_eq!(
                must_wait(is_asked, durability, unflushed, flush_messages),
                expected,
                "{what}"
            );
        }
    }
}
