//! Producer ids that this core may give out: blocks from the controller, so that no two cores and no two starts give the same.

use std::collections::VecDeque;
use std::ops::Range;

use crate::base::ids::ProducerId;

/// The blocks of one core.
#[derive(Default, Debug)]
pub struct ProducerIds {
    blocks: VecDeque<Range<i64>>,
}

impl ProducerIds {
    /// The next id; `None` when a block has to be fetched first.
    pub fn take(&mut self) -> Option<ProducerId> {
        while let Some(block) = self.blocks.front_mut() {
            if let Some(id) = block.next() {
                return Some(ProducerId(id));
            }
            self.blocks.pop_front();
        }
        None
    }

    /// Adds a block from the controller.
    pub fn add(&mut self, block: Range<i64>) {
        self.blocks.push_back(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_one_block_after_the_other() {
        let mut ids = ProducerIds::default();
        assert_eq!(ids.take(), None);
        ids.add(7..9);
        ids.add(100..101);
        let taken: Vec<_> = std::iter::from_fn(|| ids.take()).collect();
        assert_eq!(taken, [ProducerId(7), ProducerId(8), ProducerId(100)]);
    }
}
