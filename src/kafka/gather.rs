//! A request that is answered when each core that it asked has answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::base::ids::ShardId;
use crate::base::limits::REQUESTS_AT_ONCE_MAX;
use crate::kafka::call::Call;
use crate::rt;
use crate::shard::Shard;
use crate::shard::calls::Respond;
use crate::shard::message::{ShardReply, ShardRequest};

/// The row of such a request. `T` is its answer in the making.
pub struct Gather<T> {
    waiting: RefCell<Option<(Call, T)>>,
    /// Answers to come, and one while requests are still being made.
    remaining: Cell<usize>,
    absorb: fn(&mut T, ShardReply),
    finish: fn(Call, T),
}

impl<T: 'static> Gather<T> {
    /// Asks each core. `absorb` takes each answer, `finish` is called once, after the last; at once when there are none.
    pub fn start(
        call: Call,
        answer: T,
        requests: impl IntoIterator<Item = (ShardId, ShardRequest)>,
        absorb: fn(&mut T, ShardReply),
        finish: fn(Call, T),
    ) {
        let shard = Rc::clone(&call.context.shard);
        let row = Self::new(call, answer, absorb, finish);
        for (core, request) in requests {
            row.ask(&shard, core, request);
        }
        row.one_less();
    }

    /// The same for requests that may be many, and that nothing has to follow: after the first of them others have their turns.
    pub fn start_in_turns(
        call: Call,
        answer: T,
        requests: Vec<(ShardId, ShardRequest)>,
        absorb: fn(&mut T, ShardReply),
        finish: fn(Call, T),
    ) {
        if requests.len() <= REQUESTS_AT_ONCE_MAX {
            Self::start(call, answer, requests, absorb, finish);
            return;
        }
        let shard = Rc::clone(&call.context.shard);
        let row = Self::new(call, answer, absorb, finish);
        rt::task::spawn(async move {
            for (core, request) in requests {
                row.ask(&shard, core, request);
                rt::task::yield_if_needed().await;
            }
            row.one_less();
        });
    }

    fn new(call: Call, answer: T, absorb: fn(&mut T, ShardReply), finish: fn(Call, T)) -> Rc<Self> {
        Rc::new(Self {
            waiting: RefCell::new(Some((call, answer))),
            remaining: Cell::new(1),
            absorb,
            finish,
        })
    }

    fn ask(self: &Rc<Self>, shard: &Rc<Shard>, core: ShardId, request: ShardRequest) {
        self.remaining.set(self.remaining.get() + 1);
        shard.call(core, request, Rc::clone(self) as Rc<dyn Respond>);
    }

    fn one_less(&self) {
        self.remaining.set(self.remaining.get() - 1);
        if self.remaining.get() > 0 {
            return;
        }
        let done = self.waiting.borrow_mut().take();
        if let Some((call, answer)) = done {
            (self.finish)(call, answer);
        }
    }
}

impl<T: 'static> Respond for Gather<T> {
    fn respond(self: Rc<Self>, reply: ShardReply) {
        if let Some((_, answer)) = self.waiting.borrow_mut().as_mut() {
            (self.absorb)(answer, reply);
        }
        self.one_less();
    }
}

/// Where the answer about each partition stands in a response: its topic and its place there, by the tag it is asked with.
#[derive(Default)]
pub struct Places(Vec<(usize, usize)>);

impl Places {
    /// The tag of one more.
    pub fn add(&mut self, topic: usize, partition: usize) -> u32 {
        self.0.push((topic, partition));
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }

    /// The answer about the partition of a tag.
    pub fn answer<'a, T, P>(
        &self,
        tag: u32,
        topics: &'a mut [T],
        partitions: fn(&mut T) -> &mut Vec<P>,
    ) -> Option<&'a mut P> {
        let (topic, partition) = self.0.get(usize::try_from(tag).ok()?).copied()?;
        partitions(topics.get_mut(topic)?).get_mut(partition)
    }
}

/// Items grouped by the core they are for, in the order in which each core was first named.
pub struct ByCore<T> {
    groups: Vec<(ShardId, Vec<T>)>,
}

impl<T> ByCore<T> {
    #[must_use]
    pub fn new() -> Self {
        Self { groups: Vec::new() }
    }

    pub fn add(&mut self, core: ShardId, item: T) {
        match self.groups.iter_mut().find(|(named, _)| *named == core) {
            Some((_, items)) => items.push(item),
            None => self.groups.push((core, vec![item])),
        }
    }

    /// The items of each core.
    pub fn into_groups(self) -> impl Iterator<Item = (ShardId, Vec<T>)> {
        self.groups.into_iter()
    }

    /// One request for each core.
    pub fn into_requests(
        self,
        request: impl Fn(Vec<T>) -> ShardRequest,
    ) -> impl Iterator<Item = (ShardId, ShardRequest)> {
        self.groups.into_iter().map(move |(core, items)| (core, request(items)))
    }
}

impl<T> Default for ByCore<T> {
    fn default() -> Self {
        Self::new()
    }
}
