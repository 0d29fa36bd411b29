//! Fetch (1): reads that wait for records, as long as the client allows.
//!
//! A fetch is a row that goes through two states. *Reading*: each core that owns partitions of it has been asked for ranges of its
//! files. *Watching*: there is not enough yet, and each core tells when there is more; what woke is read again. The row ends when
//! there is enough, when a partition has an error, or at its deadline; records are then sent from the files.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use duramen_wire::borrowed;

use crate::base::ids::{ShardId, TopicIdPartition};
use crate::base::offset::Offset;
use crate::base::time::Monotonic;
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::fetch_sessions::{FetchContext, NO_SESSION};
use crate::kafka::gather::ByCore;
use crate::partition::types::{Read, ReadError, ReadOutcome};
use crate::rt;
use crate::shard::calls::{CallId, Respond};
use crate::shard::deadlines::Expire;
use crate::shard::message::{Answer, Asked, ShardReply, ShardRequest};

mod answer;
mod plan;

use plan::Plan;

/// Fetches of a core that find nothing end together, at most so far apart: one wake for all of them, and the polls that follow come
/// together too.
const ENDS_APART_MAX: Duration = Duration::from_millis(5);

/// One partition of a fetch.
struct Wanted {
    id: TopicIdPartition,
    core: ShardId,
    read: Read,
    outcome: Option<Result<ReadOutcome, ReadError>>,
}

/// A fetch that has not been answered.
struct PendingFetch {
    session: FetchContext,
    plan: Plan,
    call: RefCell<Option<Call>>,
    wanted: RefCell<Vec<Wanted>>,
    /// Read answers to come, and one while reads are still being asked for.
    reading: Cell<usize>,
    /// Cores that watch, each with the call that its answer comes to.
    watching: RefCell<Vec<(ShardId, CallId)>>,
    expired: Cell<bool>,
    deadline: Monotonic,
}

/// Takes the request.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let mut reader = call.reader();
    let request = borrowed::FetchRequest::decode(&mut reader, call.version).map_err(|source| call.malformed(source))?;
    let by_topic_id = call.version >= plan::TOPIC_IDS_VERSION_MIN;
    let session = match call
        .context
        .fetch_sessions
        .begin(&request, by_topic_id, rt::time::now())
    {
        Ok(session) => session,
        Err(code) => {
            answer::refuse_all(call, code, NO_SESSION);
            return Ok(());
        }
    };
    let image = call.context.image();
    let (plan, wanted) = match &session {
        FetchContext::Sessionless | FetchContext::Full => plan::plan(&call, &image, &request, &request.topics),
        FetchContext::Incremental { session, .. } => plan::plan(&call, &image, &request, &session.borrow().topics()),
    };
    drop(request);
    PendingFetch::start(call, session, plan, wanted);
    Ok(())
}

impl PendingFetch {
    fn start(call: Call, session: FetchContext, plan: Plan, wanted: Vec<Wanted>) {
        let deadline = end_of_wait(rt::time::now(), plan.wait);
        let row = Rc::new(Self {
            session,
            plan,
            call: RefCell::new(Some(call)),
            wanted: RefCell::new(wanted),
            reading: Cell::new(0),
            watching: RefCell::new(Vec::new()),
            expired: Cell::new(false),
            deadline,
        });
        row.read(|_| true);
    }

    /// Asks the cores for the partitions that `which` names.
    fn read(self: &Rc<Self>, which: impl Fn(u32) -> bool) {
        let Some(shard) = self.call.borrow().as_ref().map(|call| Rc::clone(&call.context.shard)) else {
            return;
        };
        let mut by_core = ByCore::new();
        for (tag, wanted) in (0u32..).zip(self.wanted.borrow().iter()) {
            if which(tag) {
                by_core.add(
                    wanted.core,
                    Asked {
                        tag,
                        partition: wanted.id,
                        what: wanted.read,
                    },
                );
            }
        }
        self.reading.set(self.reading.get() + 1);
        for (core, request) in by_core.into_requests(|items| ShardRequest::Read { items }) {
            self.reading.set(self.reading.get() + 1);
            shard.call(core, request, Rc::clone(self) as Rc<dyn Respond>);
        }
        self.one_read_less();
    }

    fn one_read_less(self: &Rc<Self>) {
        self.reading.set(self.reading.get() - 1);
        if self.reading.get() > 0 || self.call.borrow().is_none() {
            return;
        }
        let enough = {
            let wanted = self.wanted.borrow();
            self.expired.get() || wanted.is_empty() || self.plan.is_enough(&wanted)
        };
        if enough {
            self.finish();
        } else {
            self.watch();
        }
    }

    /// Asks each core that does not watch yet to tell when there is more.
    fn watch(self: &Rc<Self>) {
        let Some(shard) = self.call.borrow().as_ref().map(|call| Rc::clone(&call.context.shard)) else {
            return;
        };
        let is_first_wait = self.watching.borrow().is_empty() && !self.expired.get();
        let mut by_core = ByCore::new();
        for (tag, wanted) in (0u32..).zip(self.wanted.borrow().iter()) {
            let is_watched = self.watching.borrow().iter().any(|(core, _)| *core == wanted.core);
            if let (false, Some(Ok(outcome))) = (is_watched, &wanted.outcome) {
                let seen: Offset = outcome.high_watermark;
                by_core.add(
                    wanted.core,
                    Asked {
                        tag,
                        partition: wanted.id,
                        what: seen,
                    },
                );
            }
        }
        if is_first_wait {
            let row: Weak<dyn Expire> = Rc::<Self>::downgrade(self) as Weak<dyn Expire>;
            shard.deadlines.add(self.deadline, row);
        }
        for (core, items) in by_core.into_groups() {
            let call = shard.calls.add(Rc::clone(self) as Rc<dyn Respond>);
            self.watching.borrow_mut().push((core, call));
            shard.watch(core, call, items);
        }
    }

    /// Answers with what is there.
    fn finish(&self) {
        let Some(call) = self.call.borrow_mut().take() else {
            return;
        };
        let shard = Rc::clone(&call.context.shard);
        for (core, watch) in self.watching.take() {
            shard.unwatch(core, watch);
        }
        answer::respond(call, &self.session, &self.plan, &self.wanted.take());
    }
}

impl Respond for PendingFetch {
    fn respond(self: Rc<Self>, reply: ShardReply) {
        match reply {
            ShardReply::Read(answers) => {
                for Answer { tag, result } in answers {
                    if let Some(wanted) = self.wanted.borrow_mut().get_mut(tag as usize) {
                        wanted.outcome = Some(result);
                    }
                }
                self.one_read_less();
            }
            ShardReply::Woken { call, mut tags } => {
                self.watching.borrow_mut().retain(|(_, watch)| *watch != call);
                tags.sort_unstable();
                self.read(|tag| tags.binary_search(&tag).is_ok());
            }
            ShardReply::Append(_)
            | ShardReply::FindOffsets(_)
            | ShardReply::EpochEnds(_)
            | ShardReply::DeleteRecords(_)
            | ShardReply::Producers(_)
            | ShardReply::LogSizes(_)
            | ShardReply::Group { .. }
            | ShardReply::Controller(_)
            | ShardReply::ImageApplied => {
                let other_reply = true;
                crate::never!(other_reply);
            }
        }
    }
}

impl Expire for PendingFetch {
    fn expire(self: Rc<Self>) {
        self.expired.set(true);
        // Reads that are under way end the row when they are answered.
        if self.reading.get() == 0 {
            self.finish();
        }
    }
}

/// When a fetch is answered that finds nothing: after its wait, and at most a hundredth of that later.
fn end_of_wait(now: Monotonic, wait: Duration) -> Monotonic {
    now.plus(wait).next_multiple_of((wait / 100).min(ENDS_APART_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetches_that_wait_long_end_together() {
        let at = |micros: u64| Monotonic(micros * 1000);
        for (now, wait_ms, expected) in [
            (1_234, 0, 1_234),
            (1_234, 1, 2_240),
            (1_234, 100, 102_000),
            (1_000, 100, 101_000),
            (1_234, 500, 505_000),
            (4_999, 500, 505_000),
            (5_001, 500, 510_000),
            (1_234, 60_000, 60_005_000),
        ] {
            let end = end_of_wait(at(now), Duration::from_millis(wait_ms));
            assert_eq!(end, at(expected), "{now} {wait_ms}");
        }
    }
}
