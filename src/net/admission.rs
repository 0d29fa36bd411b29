//! Memory units: how many bytes of requests and answers a core holds at a time.
//!
//! Units are granted first come, first served. When they are used up, connections wait and their sockets are not read,
//! which their peers feel as TCP back-pressure. One waiter at a time may overdraw, so that requests which are each half read
//! can never wait for each other for ever.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::rt::local::{Sender, oneshot};

/// The memory units of one core.
#[derive(Clone)]
pub struct MemoryUnits {
    pool: Rc<RefCell<Pool>>,
}

struct Pool {
    limit_bytes: usize,
    used_bytes: usize,
    overdraft_bytes: usize,
    waiters: VecDeque<Waiter>,
}

struct Waiter {
    bytes: usize,
    grant: Sender<Units>,
}

/// Units that are held; dropping them gives them back.
pub struct Units {
    pool: MemoryUnits,
    bytes: usize,
    overdraft_bytes: usize,
}

impl MemoryUnits {
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        let pool = Pool {
            limit_bytes,
            used_bytes: 0,
            overdraft_bytes: 0,
            waiters: VecDeque::new(),
        };
        Self {
            pool: Rc::new(RefCell::new(pool)),
        }
    }

    /// Takes `bytes`, waiting for its turn when there is no room.
    pub async fn take(&self, bytes: usize) -> Units {
        if let Some(units) = self.try_take(bytes) {
            return units;
        }
        let (grant, granted) = oneshot();
        self.pool.borrow_mut().waiters.push_back(Waiter { bytes, grant });
        match granted.await {
            Some(units) => units,
            // The pool outlives its waiters, as `self` holds it; a lost grant still must not stop a connection.
            None => self.none(),
        }
    }

    /// Takes `bytes` if nobody waits and there is room.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<Units> {
        if !self.pool.borrow().waiters.is_empty() {
            return None;
        }
        self.grant(bytes)
    }

    /// No units at all: a place to [merge](Units::merge) others into.
    #[must_use]
    pub fn none(&self) -> Units {
        Units {
            pool: self.clone(),
            bytes: 0,
            overdraft_bytes: 0,
        }
    }

    fn grant(&self, bytes: usize) -> Option<Units> {
        let mut pool = self.pool.borrow_mut();
        if pool.used_bytes + bytes <= pool.limit_bytes {
            pool.used_bytes += bytes;
            return Some(Units {
                pool: self.clone(),
                bytes,
                overdraft_bytes: 0,
            });
        }
        if pool.overdraft_bytes > 0 {
            return None;
        }
        pool.overdraft_bytes = bytes;
        Some(Units {
            pool: self.clone(),
            bytes: 0,
            overdraft_bytes: bytes,
        })
    }

    fn give_back(&self, bytes: usize, overdraft_bytes: usize) {
        {
            let mut pool = self.pool.borrow_mut();
            pool.overdraft_bytes -= overdraft_bytes;
            pool.used_bytes -= bytes;
        }
        self.grant_waiting();
    }

    fn grant_waiting(&self) {
        loop {
            let Some(bytes) = self.pool.borrow().waiters.front().map(|waiter| waiter.bytes) else {
                return;
            };
            let Some(units) = self.grant(bytes) else { return };
            let Some(waiter) = self.pool.borrow_mut().waiters.pop_front() else {
                return;
            };
            // A waiter that has gone hands its units back by dropping them.
            drop(waiter.grant.send(units));
        }
    }

    /// Bytes in use, overdraft included.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        let pool = self.pool.borrow();
        pool.used_bytes + pool.overdraft_bytes
    }
}

impl Units {
    /// Joins `other` to these.
    pub fn merge(&mut self, mut other: Units) {
        self.bytes += std::mem::take(&mut other.bytes);
        self.overdraft_bytes += std::mem::take(&mut other.overdraft_bytes);
    }

    /// Parts at most `bytes` from these.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Units {
        let overdraft_bytes = self.overdraft_bytes.min(bytes);
        let regular_bytes = self.bytes.min(bytes - overdraft_bytes);
        self.overdraft_bytes -= overdraft_bytes;
        self.bytes -= regular_bytes;
        Units {
            pool: self.pool.clone(),
            bytes: regular_bytes,
            overdraft_bytes,
        }
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        if self.bytes + self.overdraft_bytes > 0 {
            self.pool.give_back(self.bytes, self.overdraft_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_back_and_one_overdraft_is_allowed() {
        let units = MemoryUnits::new(100);
        let first = units.try_take(60).unwrap();
        let second = units.try_take(40).unwrap();
        let overdraft = units.try_take(500).unwrap();
        assert!(units.try_take(1).is_none(), "one overdraft at a time");
        assert_eq!(units.used_bytes(), 600);
        drop(first);
        assert_eq!(units.used_bytes(), 540);
        drop(overdraft);
        drop(second);
        assert_eq!(units.used_bytes(), 0);
    }

    #[test]
    fn units_split_and_merge_without_loss() {
        let units = MemoryUnits::new(100);
        let mut held = units.try_take(80).unwrap();
        held.merge(units.try_take(50).unwrap());
        let part = held.split(60);
        assert_eq!(units.used_bytes(), 130);
        drop(held);
        assert_eq!(units.used_bytes(), 60);
        assert!(
            units.try_take(90).is_some(),
            "the overdraft is held by the part; the rest is free again"
        );
        drop(part);
        assert_eq!(units.used_bytes(), 0);
    }
}
