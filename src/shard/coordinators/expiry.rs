//! Work of coordinators that nobody asks for: what has had its time, and what has lost its topic.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::ids::TopicId;
use crate::coordinator::group::{Coordinator, Effects, Walked};
use crate::rt;
use crate::shard::Shard;

use super::{Phase, Row, now};

/// Groups that are looked at in one step.
const GROUPS_PER_STEP_MAX: usize = 100;

impl Shard {
    /// Ends offsets and groups whose time is over, for ever.
    pub async fn expire_groups(self: Rc<Self>) {
        loop {
            rt::time::sleep(self.config.broker.groups.retention_check_interval).await;
            for row in self.coordinator_rows() {
                let wall = now().wall;
                self.walk(&row, |coordinator, after| {
                    coordinator.expire(after, GROUPS_PER_STEP_MAX, wall)
                })
                .await;
            }
        }
    }

    /// Ends the offsets of topics that were deleted.
    pub(in crate::shard) fn forget_topics(self: &Rc<Self>, deleted: Vec<(Arc<str>, TopicId)>) {
        if deleted.is_empty() {
            return;
        }
        let shard = Rc::clone(self);
        rt::task::spawn_background(async move {
            for row in shard.coordinator_rows() {
                let forget = |coordinator: &Coordinator, after: Option<&Arc<str>>| {
                    coordinator.forget_topics(after, GROUPS_PER_STEP_MAX, &deleted)
                };
                shard.walk(&row, forget).await;
            }
        });
    }

    /// Looks at all groups of a coordinator, some at a time, and appends what comes of it.
    async fn walk(self: &Rc<Self>, row: &Rc<Row>, mut look: impl FnMut(&Coordinator, Option<&Arc<str>>) -> Walked) {
        let mut after: Option<Arc<str>> = None;
        loop {
            self.append_gathered(row);
            let walked = match &*row.phase.borrow() {
                Phase::Serving(coordinator) => look(coordinator, after.as_ref()),
                Phase::Loading | Phase::Over => return,
            };
            let effects = Effects {
                records: walked.records,
                ..Effects::default()
            };
            self.settle(row, effects);
            after = walked.last;
            if after.is_none() {
                return;
            }
            rt::task::yield_now().await;
        }
    }
}
