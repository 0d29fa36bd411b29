//! Signals between tasks of one core: pure `std::task`, no machine beneath, so they are the same in both bodies of `rt`.
//!
//! Nothing here crosses a core: that is the mesh's work.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Wakes every local task that waits: "something changed, look again".
///
/// To miss nothing, take [`Event::listen`] before looking at the state, and await it after.
#[derive(Default, Debug)]
pub struct Event {
    generation: Cell<u64>,
    waiters: RefCell<Vec<Waker>>,
}

impl Event {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes all that wait now. Later waits begin anew.
    pub fn notify(&self) {
        self.generation.set(self.generation.get().wrapping_add(1));
        let waiters = self.waiters.take();
        for waker in waiters {
            waker.wake();
        }
    }

    /// The moment to wait from: a [`Listener`] of this moment sees each later [`Event::notify`].
    #[must_use]
    pub fn listen(&self) -> Listener<'_> {
        Listener {
            event: self,
            generation: self.generation.get(),
        }
    }

    /// Waits for the next [`Event::notify`] after this call.
    pub async fn wait(&self) {
        self.listen().await;
    }
}

/// A wait for an [`Event`], from the moment of [`Event::listen`] on.
#[derive(Debug)]
pub struct Listener<'a> {
    event: &'a Event,
    generation: u64,
}

impl Future for Listener<'_> {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<()> {
        if self.event.generation.get() != self.generation {
            return Poll::Ready(());
        }
        let mut waiters = self.event.waiters.borrow_mut();
        if !waiters.iter().any(|waker| waker.will_wake(context.waker())) {
            waiters.push(context.waker().clone());
        }
        Poll::Pending
    }
}

/// A slot for one value, handed from one task to another.
#[must_use]
pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Rc::new(Slot {
        value: RefCell::new(None),
        waker: RefCell::new(None),
        closed: Cell::new(false),
    });
    (Sender { slot: Rc::clone(&slot) }, Receiver { slot })
}

#[derive(Debug)]
struct Slot<T> {
    value: RefCell<Option<T>>,
    waker: RefCell<Option<Waker>>,
    closed: Cell<bool>,
}

/// Gives the value of a [`oneshot`].
#[derive(Debug)]
pub struct Sender<T> {
    slot: Rc<Slot<T>>,
}

impl<T> Sender<T> {
    /// Hands the value over; gives it back when the receiver is gone.
    ///
    /// # Errors
    /// The value, when nobody can receive it.
    pub fn send(self, value: T) -> Result<(), T> {
        if self.is_closed() {
            return Err(value);
        }
        self.slot.value.replace(Some(value));
        Ok(())
    }

    /// Whether the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        Rc::strong_count(&self.slot) == 1
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.slot.closed.set(true);
        let waker = self.slot.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Awaits the value of a [`oneshot`]; `None` when the sender was dropped without giving one.
#[derive(Debug)]
pub struct Receiver<T> {
    slot: Rc<Slot<T>>,
}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Option<T>> {
        if let Some(value) = self.slot.value.take() {
            return Poll::Ready(Some(value));
        }
        if self.slot.closed.get() {
            return Poll::Ready(None);
        }
        self.slot.waker.replace(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// One holder at a time, in the order of asking: an asynchronous section of one core.
#[derive(Default, Debug)]
pub struct Turn {
    held: Cell<bool>,
    waiters: RefCell<VecDeque<Rc<Ticket>>>,
}

#[derive(Default, Debug)]
struct Ticket {
    granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Turn {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until all who asked before are done; the turn ends when the guard is dropped.
    pub async fn acquire(&self) -> TurnGuard<'_> {
        if !self.held.replace(true) {
            return TurnGuard { turn: self };
        }
        let ticket = Rc::new(Ticket::default());
        self.waiters.borrow_mut().push_back(Rc::clone(&ticket));
        let mut place = Place {
            turn: self,
            ticket: Some(ticket),
        };
        poll_fn(|context| {
            let Some(ticket) = &place.ticket else {
                return Poll::Ready(());
            };
            if ticket.granted.get() {
                return Poll::Ready(());
            }
            ticket.waker.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
        place.ticket = None;
        TurnGuard { turn: self }
    }

    fn pass_on(&self) {
        let next = self.waiters.borrow_mut().pop_front();
        match next {
            None => self.held.set(false),
            Some(ticket) => {
                ticket.granted.set(true);
                let waker = ticket.waker.take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        }
    }
}

/// A place in the queue of a [`Turn`]: given up, it leaves the queue, and a turn already granted goes to the next.
struct Place<'a> {
    turn: &'a Turn,
    ticket: Option<Rc<Ticket>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        if ticket.granted.get() {
            self.turn.pass_on();
        } else {
            self.turn
                .waiters
                .borrow_mut()
                .retain(|waiting| !Rc::ptr_eq(waiting, &ticket));
        }
    }
}

/// The turn is held while this lives.
#[derive(Debug)]
pub struct TurnGuard<'a> {
    turn: &'a Turn,
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        self.turn.pass_on();
    }
}

#[cfg(test)]
mod tests;
