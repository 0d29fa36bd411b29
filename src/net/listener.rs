//! Accepting connections, and closing those that have been silent too long, or stand in the way of others.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use crate::base::time::Monotonic;
use crate::net::admission::MemoryUnits;
use crate::rt;
use crate::rt::net::{Listener, Stream};

/// How long a peer may pause within a request while others wait for memory.
const STALL_MAX: Duration = Duration::from_secs(3);

/// Refused connections are told of at this interval.
const TOLD_INTERVAL: Duration = Duration::from_secs(10);

/// What a connection does, for those who may close it.
pub struct Activity {
    /// When a byte last came or left.
    last: Cell<Monotonic>,
    /// Whether the peer has begun a request, and its next byte is waited for.
    is_mid_request: Cell<bool>,
}

impl Activity {
    fn new() -> Self {
        Self {
            last: Cell::new(rt::time::now()),
            is_mid_request: Cell::new(false),
        }
    }

    /// A byte comes or leaves.
    pub fn now(&self) {
        self.last.set(rt::time::now());
    }

    pub fn set_mid_request(&self, is_mid_request: bool) {
        self.is_mid_request.set(is_mid_request);
    }
}

/// The open connections of one core.
#[derive(Clone)]
pub struct Connections {
    table: Rc<RefCell<Table>>,
    most: usize,
}

#[derive(Default)]
struct Table {
    next_id: u64,
    open: BTreeMap<u64, Open>,
}

struct Open {
    stream: Stream,
    activity: Rc<Activity>,
}

/// One accepted connection; it leaves the table when this is dropped.
pub struct Accepted {
    pub stream: Stream,
    pub activity: Rc<Activity>,
    id: u64,
    connections: Connections,
}

impl Drop for Accepted {
    fn drop(&mut self) {
        self.stream.close();
        self.connections.table.borrow_mut().open.remove(&self.id);
    }
}

impl Connections {
    /// Room for so many; further ones are closed at once.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            table: Rc::default(),
            most,
        }
    }

    fn has_room(&self) -> bool {
        self.count() < self.most
    }

    fn add(&self, stream: Stream) -> Accepted {
        let mut table = self.table.borrow_mut();
        let id = table.next_id;
        table.next_id += 1;
        let activity = Rc::new(Activity::new());
        table.open.insert(
            id,
            Open {
                stream: stream.clone(),
                activity: Rc::clone(&activity),
            },
        );
        Accepted {
            stream,
            activity,
            id,
            connections: self.clone(),
        }
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.table.borrow().open.len()
    }

    /// Closes every connection that has been silent for longer than `idle_max`; the number of them.
    pub fn close_idle(&self, now: Monotonic, idle_max: Duration) -> usize {
        self.close_where(|open| now.since(open.activity.last.get()) > idle_max)
    }

    /// Closes every connection whose peer has begun a request and sent nothing of it for [`STALL_MAX`]; the number of them.
    fn close_stalled(&self, now: Monotonic) -> usize {
        self.close_where(|open| open.activity.is_mid_request.get() && now.since(open.activity.last.get()) > STALL_MAX)
    }

    /// Closes every connection.
    pub fn close_all(&self) {
        self.close_where(|_| true);
    }

    fn close_where(&self, condition: impl Fn(&Open) -> bool) -> usize {
        let closing: Vec<Stream> = self
            .table
            .borrow()
            .open
            .values()
            .filter(|open| condition(open))
            .map(|open| open.stream.clone())
            .collect();
        for stream in &closing {
            stream.close();
        }
        closing.len()
    }
}

/// Accepts connections for ever, each served by a task of its own.
///
/// An error of accept (out of file descriptors, a peer that has gone) does not end the listener: it waits a little and goes on.
pub async fn accept_forever<F>(listener: Listener, connections: Connections, serve: impl Fn(Accepted) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let mut told: Option<Monotonic> = None;
    loop {
        match listener.accept().await {
            Ok(stream) if !connections.has_room() => {
                stream.close();
                let now = rt::time::now();
                if told.is_none_or(|told| now.since(told) > TOLD_INTERVAL) {
                    told = Some(now);
                    tracing::warn!(
                        listener = %listener.local_address(),
                        connections = connections.count(),
                        "a connection was closed at once: this core has as many as the limit of open files leaves room for"
                    );
                }
            }
            Ok(stream) => rt::task::spawn(serve(connections.add(stream))),
            Err(error) => {
                tracing::warn!(%error, listener = %listener.local_address(), "cannot accept a connection; trying again");
                rt::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Closes silent connections, for ever. `idle_max` is `connections.max.idle.ms`.
pub async fn sweep_idle(connections: Connections, idle_max: Duration) {
    let period = (idle_max / 10).clamp(Duration::from_millis(100), Duration::from_secs(10));
    loop {
        rt::time::sleep(period).await;
        let closed = connections.close_idle(rt::time::now(), idle_max);
        if closed > 0 {
            tracing::debug!(closed, "closed connections that were silent too long");
        }
    }
}

/// Closes connections whose peers do not go on with a request while others wait for the memory that it holds; for ever.
pub async fn sweep_stalled(connections: Connections, memory: MemoryUnits) {
    loop {
        rt::time::sleep(STALL_MAX / 4).await;
        if !memory.is_short() {
            continue;
        }
        let closed = connections.close_stalled(rt::time::now());
        if closed > 0 {
            tracing::warn!(
                closed,
                "closed connections that sent half a request while others waited for memory"
            );
        }
    }
}
