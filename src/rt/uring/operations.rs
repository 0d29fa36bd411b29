//! What is in flight in a ring, and who gets each completion.
//!
//! Every entry in the kernel has a slot here, which owns (through its target) all memory and descriptors that the kernel may touch
//! until the last completion of the entry. `user_data` is slot and generation, so that a completion of an earlier tenant of a slot
//! is told apart from one of the present tenant.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use io_uring::cqueue;

use super::reactor::Reactor;
use super::ring::Completion;

/// Gets the completions of one entry, and keeps alive what the entry names.
pub(super) trait Target {
    /// One completion; `flags` are the kernel's. After one without `IORING_CQE_F_MORE` no other follows.
    fn complete(self: Rc<Self>, reactor: &Rc<Reactor>, result: i32, flags: u32);
}

/// Slot and generation: the `user_data` of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key {
    slot: u32,
    generation: u32,
}

impl Key {
    /// Of entries whose completion interests nobody (cancellations).
    pub const NOBODY: u64 = u64::MAX;

    pub fn to_user_data(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.slot)
    }

    fn from_user_data(user_data: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = user_data.to_le_bytes();
        Self {
            slot: u32::from_le_bytes([a, b, c, d]),
            generation: u32::from_le_bytes([e, f, g, h]),
        }
    }

    fn index(self) -> usize {
        usize::try_from(self.slot).unwrap_or(usize::MAX)
    }
}

/// The slots of a ring.
#[derive(Default)]
pub(super) struct Operations {
    slots: Vec<Slot>,
    free: Vec<u32>,
    in_flight: usize,
}

struct Slot {
    generation: u32,
    target: Option<Rc<dyn Target>>,
}

impl Operations {
    pub fn insert(&mut self, target: Rc<dyn Target>) -> Key {
        self.in_flight += 1;
        if let Some(slot) = self.free.pop() {
            let key = Key {
                slot,
                generation: self.slots[Key { slot, generation: 0 }.index()].generation,
            };
            self.slots[key.index()].target = Some(target);
            return key;
        }
        // The highest slot number is kept free, so that no key equals `NOBODY`.
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        crate::check!(slot < u32::MAX, "too many operations in flight");
        self.slots.push(Slot {
            generation: 0,
            target: Some(target),
        });
        Key { slot, generation: 0 }
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The target of a completion; with the last one of its entry the slot becomes free.
    pub fn target_of(&mut self, completion: Completion) -> Option<Rc<dyn Target>> {
        let key = Key::from_user_data(completion.user_data);
        let slot = self.slots.get_mut(key.index())?;
        if slot.generation != key.generation {
            return None;
        }
        if cqueue::more(completion.flags) {
            return slot.target.clone();
        }
        let target = slot.target.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.slot);
        self.in_flight -= 1;
        Some(target)
    }
}

/// An entry with one completion: its result, and what it holds until then.
pub(super) struct Single<T> {
    result: Cell<Option<i32>>,
    waker: RefCell<Option<Waker>>,
    held: RefCell<Option<T>>,
}

impl<T> Single<T> {
    pub fn new(held: T) -> Rc<Self> {
        Rc::new(Self {
            result: Cell::new(None),
            waker: RefCell::new(None),
            held: RefCell::new(Some(held)),
        })
    }
}

impl<T> Target for Single<T> {
    fn complete(self: Rc<Self>, _reactor: &Rc<Reactor>, result: i32, _flags: u32) {
        self.result.set(Some(result));
        let waker = self.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Awaits a [`Single`]: gives the kernel's result and what was held.
///
/// Dropped early it asks the kernel to cancel; what is held stays alive until the kernel has answered.
pub(super) struct InFlight<T> {
    pub reactor: Rc<Reactor>,
    pub key: Option<Key>,
    pub single: Rc<Single<T>>,
}

impl<T> Future for InFlight<T> {
    type Output = (i32, T);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<(i32, T)> {
        if let Some(result) = self.single.result.get()
            && let Some(held) = self.single.held.take()
        {
            return Poll::Ready((result, held));
        }
        self.single.waker.replace(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl<T> Drop for InFlight<T> {
    fn drop(&mut self) {
        if self.single.result.get().is_none()
            && let Some(key) = self.key
        {
            self.reactor.cancel(key);
        }
    }
}

impl<T> Single<T> {
    /// Completes without the kernel: the core is stopping.
    pub fn refuse(&self) {
        self.result.set(Some(-libc::ECANCELED));
    }
}

/// The kernel's result as Rust's: negative is an error number.
pub(super) fn outcome(result: i32) -> std::io::Result<usize> {
    usize::try_from(result).map_err(|_| std::io::Error::from_raw_os_error(-result))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Target for Nothing {
        fn complete(self: Rc<Self>, _reactor: &Rc<Reactor>, _result: i32, _flags: u32) {}
    }

    /// `IORING_CQE_F_MORE`.
    const MORE: u32 = 2;

    fn completion(key: Key, flags: u32) -> Completion {
        Completion {
            user_data: key.to_user_data(),
            result: 0,
            flags,
        }
    }

    #[test]
    fn a_slot_is_kept_until_the_last_completion() {
        let mut operations = Operations::default();
        let key = operations.insert(Rc::new(Nothing));
        assert!(operations.target_of(completion(key, MORE)).is_some());
        assert!(operations.target_of(completion(key, MORE)).is_some());
        assert_eq!(operations.in_flight(), 1);
        assert!(operations.target_of(completion(key, 0)).is_some());
        assert_eq!(operations.in_flight(), 0);
    }

    #[test]
    fn a_completion_of_an_earlier_tenant_is_told_apart() {
        let mut operations = Operations::default();
        let first = operations.insert(Rc::new(Nothing));
        assert!(operations.target_of(completion(first, 0)).is_some());
        let second = operations.insert(Rc::new(Nothing));
        assert_eq!(first.slot, second.slot);
        assert!(operations.target_of(completion(first, 0)).is_none());
        assert!(operations.target_of(completion(first, MORE)).is_none());
        assert_eq!(operations.in_flight(), 1);
        assert!(operations.target_of(completion(second, 0)).is_some());
    }

    #[test]
    fn what_an_operation_holds_lives_until_its_completion() {
        let mut operations = Operations::default();
        let held = Rc::new(());
        let single = Single::new(Rc::clone(&held));
        let key = operations.insert(single);
        // Nobody awaits it any more; the kernel may still use it.
        assert_eq!(Rc::strong_count(&held), 2);
        drop(operations.target_of(completion(key, 0)));
        assert_eq!(Rc::strong_count(&held), 1);
    }

    #[test]
    fn keys_survive_the_way_through_the_kernel() {
        for (slot, generation) in [(0, 0), (7, 1), (u32::MAX - 1, u32::MAX)] {
            let key = Key { slot, generation };
            assert_eq!(Key::from_user_data(key.to_user_data()), key);
            assert_ne!(key.to_user_data(), Key::NOBODY);
        }
    }
}
