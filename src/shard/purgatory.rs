//! Readers that wait for records: rows, one for each watched partition.
//!
//! A watch ends with the first of its partitions that has more, or when its reader gives it up; either takes all its rows out, so
//! what waits is bounded by the fetches that are in flight.

use std::collections::{HashMap, HashSet};

use crate::base::ids::TopicIdPartition;
use crate::base::offset::Offset;
use crate::shard::calls::ReplyTo;

/// The watches of one core's partitions.
#[derive(Default)]
pub struct Purgatory {
    rows: HashMap<TopicIdPartition, Vec<Row>>,
    watches: HashMap<ReplyTo, Vec<TopicIdPartition>>,
}

struct Row {
    reply_to: ReplyTo,
    tag: u32,
    /// The reader has seen everything below.
    seen: Offset,
}

/// A watch that has ended because there is more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Woken {
    pub reply_to: ReplyTo,
    pub tags: Vec<u32>,
}

impl Purgatory {
    /// Begins to watch a partition up to whose offset `seen` the reader has everything.
    pub fn watch(&mut self, reply_to: ReplyTo, partition: TopicIdPartition, tag: u32, seen: Offset) {
        self.rows
            .entry(partition)
            .or_default()
            .push(Row { reply_to, tag, seen });
        self.watches.entry(reply_to).or_default().push(partition);
    }

    /// Ends a watch without an answer.
    pub fn unwatch(&mut self, reply_to: ReplyTo) {
        for partition in self.watches.remove(&reply_to).unwrap_or_default() {
            self.retain(partition, |row| row.reply_to != reply_to);
        }
    }

    /// The watches that end as a partition's high watermark has come to `high_watermark`.
    pub fn advanced(&mut self, partition: TopicIdPartition, high_watermark: Offset) -> Vec<Woken> {
        let has_more = |row: &Row| row.seen < high_watermark;
        let rows = self.rows.get(&partition).into_iter().flatten();
        let ended: HashSet<ReplyTo> = rows.filter(|row| has_more(row)).map(|row| row.reply_to).collect();
        if ended.is_empty() {
            return Vec::new();
        }
        let mut woken: Vec<Woken> = Vec::with_capacity(ended.len());
        self.retain(partition, |row| {
            if has_more(row) {
                // The rows of a watch stand together.
                match woken.last_mut().filter(|woken| woken.reply_to == row.reply_to) {
                    Some(woken) => woken.tags.push(row.tag),
                    None => woken.push(Woken {
                        reply_to: row.reply_to,
                        tags: vec![row.tag],
                    }),
                }
            }
            !ended.contains(&row.reply_to)
        });
        for Woken { reply_to, .. } in &woken {
            for other in self.watches.remove(reply_to).unwrap_or_default() {
                if other != partition {
                    self.retain(other, |row| row.reply_to != *reply_to);
                }
            }
        }
        woken
    }

    fn retain(&mut self, partition: TopicIdPartition, is_kept: impl FnMut(&Row) -> bool) {
        let Some(rows) = self.rows.get_mut(&partition) else {
            return;
        };
        rows.retain(is_kept);
        if rows.is_empty() {
            self.rows.remove(&partition);
        }
    }

    /// The watches that end as a partition goes away or begins later: their readers look again and learn what is.
    pub fn look_again(&mut self, partition: TopicIdPartition) -> Vec<Woken> {
        self.advanced(partition, Offset(i64::MAX))
    }

    /// Partitions that are watched.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{ShardId, TopicId};
    use crate::shard::calls::Calls;
    use crate::shard::calls::Respond;
    use crate::shard::message::ShardReply;
    use std::rc::Rc;

    struct Ignore;
    impl Respond for Ignore {
        fn respond(self: Rc<Self>, _: ShardReply) {}
    }

    fn partition(index: i32) -> TopicIdPartition {
        TopicIdPartition {
            topic_id: TopicId([1; 16]),
            partition: index,
        }
    }

    #[test]
    fn a_watch_may_name_a_partition_twice() {
        let calls = Calls::default();
        let [a, b] = [0, 1].map(|_| ReplyTo {
            core: ShardId(0),
            call: calls.add(Rc::new(Ignore)),
        });
        let mut purgatory = Purgatory::default();
        for (reply_to, tag, seen) in [(a, 0, 5), (a, 1, 9), (a, 2, 6), (b, 0, 8)] {
            purgatory.watch(reply_to, partition(0), tag, Offset(seen));
        }
        let woken = |reply_to, tags| Woken { reply_to, tags };
        assert_eq!(purgatory.advanced(partition(0), Offset(8)), [woken(a, vec![0, 2])]);
        assert_eq!(purgatory.advanced(partition(0), Offset(20)), [woken(b, vec![0])]);
        assert!(purgatory.rows.is_empty() && purgatory.watches.is_empty());
    }

    #[test]
    fn a_watch_ends_once_and_leaves_nothing_behind() {
        let calls = Calls::default();
        let [a, b] = [0, 1].map(|_| ReplyTo {
            core: ShardId(0),
            call: calls.add(Rc::new(Ignore)),
        });
        let mut purgatory = Purgatory::default();
        purgatory.watch(a, partition(0), 0, Offset(5));
        purgatory.watch(a, partition(1), 1, Offset(7));
        purgatory.watch(b, partition(0), 0, Offset(9));
        assert_eq!(purgatory.advanced(partition(0), Offset(5)), []);
        assert_eq!(
            purgatory.advanced(partition(0), Offset(6)),
            [Woken {
                reply_to: a,
                tags: vec![0]
            }]
        );
        assert_eq!(purgatory.advanced(partition(1), Offset(99)), []);
        assert_eq!(purgatory.watched(), 1);
        purgatory.unwatch(b);
        assert_eq!(purgatory.watched(), 0);
        assert!(purgatory.watches.is_empty());
    }
}
