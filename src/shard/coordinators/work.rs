//! Work of coordinators that is too much for one step, between the requests.

use std::rc::Rc;

use crate::rt;
use crate::shard::Shard;

use super::{Phase, Row, now};

impl Shard {
    /// Has a task do the work of a coordinator, if it has any and nobody does it.
    pub(super) fn set_to_work(self: &Rc<Self>, row: &Rc<Row>) {
        if row.is_working.get() || !has_work(row) {
            return;
        }
        row.is_working.set(true);
        let (shard, row) = (Rc::clone(self), Rc::clone(row));
        rt::task::spawn_background(async move {
            while has_work(&row) {
                rt::task::begin_part("group work");
                shard.append_gathered(&row);
                let effects = match &mut *row.phase.borrow_mut() {
                    Phase::Serving(coordinator) => coordinator.work(now()),
                    Phase::Loading | Phase::Over => break,
                };
                shard.settle(&row, effects);
                rt::task::yield_now().await;
            }
            row.is_working.set(false);
        });
    }
}

fn has_work(row: &Row) -> bool {
    match &*row.phase.borrow() {
        Phase::Serving(coordinator) => coordinator.has_work(),
        Phase::Loading | Phase::Over => false,
    }
}
