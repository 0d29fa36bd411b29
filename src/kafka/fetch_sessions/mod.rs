//! Fetch sessions (KIP-227): a client that reads many partitions names them once, then what changes; the answers tell what changed.
//!
//! Each core has its own. A client that comes back on another core is told that its session is not known, and begins one there.

mod session;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use duramen_wire::messages::borrowed::FetchRequest;
use duramen_wire::messages::fetch_request::FetchPartition;
use duramen_wire::messages::fetch_response::PartitionData;

use crate::base::ids::TopicId;
use crate::base::limits::FETCH_SESSION_PARTITIONS_PER_CORE;
use crate::base::time::Monotonic;
use crate::kafka::errors::ErrorCode;

pub use session::Session;

/// A session that was idle for so long may be replaced by a new one; one that is as old, by a larger one
/// (Kafka: `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
const EVICTABLE_AFTER: Duration = Duration::from_secs(120);

/// The epoch of a request that begins a session.
const EPOCH_FIRST: i32 = 0;

/// The epoch of a request outside of sessions; it ends the one that it names.
const EPOCH_NONE: i32 = -1;

/// The session id that names none.
pub const NO_SESSION: i32 = 0;

/// The sessions of one core.
#[derive(Debug)]
pub struct FetchSessions {
    slots: usize,
    by_id: RefCell<BTreeMap<i32, Rc<RefCell<Session>>>>,
    /// Of all sessions together.
    partitions: Cell<usize>,
}

/// What a request has to do with sessions.
#[derive(Debug)]
pub enum FetchContext {
    /// Nothing: it names all it wants and is told of all.
    Sessionless,
    /// The same, and its answer may begin a session.
    Full,
    /// It goes on with a session, which is now in this epoch.
    Incremental { session: Rc<RefCell<Session>>, epoch: i32 },
}

/// A partition of the answer that begins a session.
pub struct Told<'a> {
    pub topic: &'a Rc<str>,
    pub topic_id: TopicId,
    pub asked: &'a FetchPartition,
    pub data: &'a PartitionData,
}

impl FetchSessions {
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self {
            slots,
            by_id: RefCell::default(),
            partitions: Cell::new(0),
        }
    }

    /// What a request has to do with sessions; its changes are taken over.
    ///
    /// # Errors
    /// The code for the whole answer (Kafka: `FetchManager.newContext`).
    pub fn begin(
        &self,
        request: &FetchRequest<'_>,
        by_topic_id: bool,
        now: Monotonic,
    ) -> Result<FetchContext, ErrorCode> {
        match request.session_epoch {
            EPOCH_FIRST => {
                self.end(request.session_id);
                Ok(FetchContext::Full)
            }
            EPOCH_NONE => {
                self.end(request.session_id);
                Ok(FetchContext::Sessionless)
            }
            epoch => {
                let found = self.by_id.borrow().get(&request.session_id).cloned();
                let session = found.ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
                {
                    let mut session = session.borrow_mut();
                    if session.epoch != epoch {
                        return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
                    }
                    if session.by_topic_id != by_topic_id {
                        return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
                    }
                    let before = session.len();
                    session.change(&request.topics, &request.forgotten_topics_data);
                    self.partitions.set(self.partitions.get() - before + session.len());
                    session.epoch = Session::next_epoch(epoch);
                    session.last_used = now;
                }
                self.go_on(session)
            }
        }
    }

    fn go_on(&self, session: Rc<RefCell<Session>>) -> Result<FetchContext, ErrorCode> {
        let (id, epoch, is_empty) = {
            let session = session.borrow();
            (session.id, session.epoch, session.len() == 0)
        };
        if is_empty {
            self.end(id);
            return Ok(FetchContext::Sessionless);
        }
        if self.partitions.get() > FETCH_SESSION_PARTITIONS_PER_CORE {
            self.end(id);
            return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        }
        Ok(FetchContext::Incremental { session, epoch })
    }

    fn end(&self, id: i32) {
        let ended = self.by_id.borrow_mut().remove(&id);
        let partitions = ended.map_or(0, |session| session.borrow().len());
        self.partitions.set(self.partitions.get() - partitions);
    }

    /// Begins a session with what its client was told. `id` is random; 0 is answered when there is no room for another session.
    pub fn create(&self, id: u64, by_topic_id: bool, told: &[Told<'_>], now: Monotonic) -> i32 {
        let Ok(id) = i32::try_from(id >> 33) else {
            return NO_SESSION;
        };
        let is_taken = id == NO_SESSION || self.by_id.borrow().contains_key(&id);
        let is_too_much = self.partitions.get() + told.len() > FETCH_SESSION_PARTITIONS_PER_CORE;
        if is_taken || is_too_much || !self.make_room(told.len(), now) {
            return NO_SESSION;
        }
        let mut session = Session::new(id, by_topic_id, now);
        for told in told {
            session.want(told.topic, told.topic_id, told.asked);
            session.told(told.topic, told.topic_id, told.data);
        }
        self.partitions.set(self.partitions.get() + session.len());
        self.by_id.borrow_mut().insert(id, Rc::new(RefCell::new(session)));
        id
    }

    /// Whether there is a slot for a session of so many partitions, if need be another's (Kafka: `FetchSessionCacheShard.tryEvict`).
    fn make_room(&self, partitions: usize, now: Monotonic) -> bool {
        let sessions = self.by_id.borrow();
        if sessions.len() < self.slots {
            return true;
        }
        let idle = |session: &Session| now.since(session.last_used) > EVICTABLE_AFTER;
        let old = |session: &Session| now.since(session.created) > EVICTABLE_AFTER;
        let longest_idle = sessions.values().min_by_key(|session| session.borrow().last_used);
        let stale = longest_idle.filter(|session| idle(&session.borrow()));
        let smallest = || {
            let old = sessions.values().filter(|session| old(&session.borrow()));
            let smallest = old.min_by_key(|session| session.borrow().len());
            smallest.filter(|session| session.borrow().len() < partitions)
        };
        let Some(id) = stale.or_else(smallest).map(|session| session.borrow().id) else {
            return false;
        };
        drop(sessions);
        self.end(id);
        true
    }
}

impl FetchContext {
    /// The id for the answer.
    ///
    /// # Errors
    /// The code for the whole answer and its id, when another request went on with the session meanwhile.
    pub fn check(&self) -> Result<i32, (ErrorCode, i32)> {
        match self {
            Self::Sessionless | Self::Full => Ok(NO_SESSION),
            Self::Incremental { session, epoch } => {
                let session = session.borrow();
                if session.epoch == *epoch {
                    Ok(session.id)
                } else {
                    Err((ErrorCode::INVALID_FETCH_SESSION_EPOCH, session.id))
                }
            }
        }
    }

    /// Leaves of the answers to a plan those that go to the client: in a session, what says something new.
    pub fn retain_news<'a>(&self, answers: impl Iterator<Item = (&'a Rc<str>, TopicId, &'a mut Vec<PartitionData>)>) {
        match self {
            Self::Sessionless | Self::Full => {}
            Self::Incremental { session, .. } => session.borrow_mut().retain_news(answers),
        }
    }
}
