//! The range assignor: the partitions of each topic are cut into as many ranges as it has members.
//!
//! Members stand in one order for all topics, static ones before others, so that partitions of one number of two topics of one size meet.
//! Kafka: `RangeAssignor`.

use super::{Dealt, Input};

/// An assignment in the making.
#[derive(Debug)]
pub struct Range {
    input: Input,
    /// Places of the members, in the order in which they are served.
    order: Vec<usize>,
    assigned: Vec<Dealt>,
    next_topic: usize,
}

impl Range {
    pub(super) fn new(input: Input) -> Self {
        let mut order: Vec<usize> = (0..input.members.len()).collect();
        order.sort_by_key(|place| {
            let member = &input.members[*place];
            (member.instance_id.is_none(), &member.instance_id, &member.id)
        });
        Self {
            assigned: vec![Dealt::new(); input.members.len()],
            input,
            order,
            next_topic: 0,
        }
    }

    pub(super) fn advance(&mut self, steps: usize) -> bool {
        let mut done = 0;
        while done < steps && self.next_topic < self.input.topics.len() {
            done = done.saturating_add(self.cut(self.next_topic));
            self.next_topic += 1;
        }
        self.next_topic >= self.input.topics.len()
    }

    /// Cuts one topic; returns how much work that was.
    fn cut(&mut self, topic: usize) -> usize {
        let subscribed = |place: &&usize| self.input.members[**place].subscribed.binary_search(&topic).is_ok();
        let members: Vec<usize> = self.order.iter().filter(subscribed).copied().collect();
        let Some(topic) = self.input.topics.get(topic) else {
            return 1;
        };
        let (Ok(partitions), Ok(count)) = (usize::try_from(topic.partitions), i32::try_from(members.len())) else {
            return 1;
        };
        if count == 0 {
            return 1;
        }
        let (each, one_more) = (topic.partitions / count, topic.partitions % count);
        let mut next = 0;
        for (rank, member) in (0..).zip(members) {
            let end = next + each + i32::from(rank < one_more);
            self.assigned[member].extend((next..end).map(|partition| (topic.id, partition)));
            next = end;
        }
        partitions + self.order.len()
    }

    pub(super) fn finish(self) -> (Input, Vec<Dealt>) {
        (self.input, self.assigned)
    }
}
