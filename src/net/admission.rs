//! Memory units: how many bytes of requests and answers a core holds at a time.
//!
//! Units are granted first come, first served, in two lines: requests of usual size wait only for each other, as large ones leave
//! a quarter of the units to them. Whoever waits is not read from, which the peer feels as TCP back-pressure. One connection of
//! each line at a time may overdraw until its request is whole, so that requests which are each half read never wait for each
//! other for ever. What is held is thus bounded by the limit and one request of each line.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::base::limits::SMALL_REQUEST_BYTES_MAX;
use crate::rt::local::{Sender, oneshot};

/// In which line a request waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    Small,
    Large,
}

impl Line {
    const ALL: [Self; 2] = [Self::Small, Self::Large];

    /// The line for a request of this length.
    #[must_use]
    pub fn of(request_bytes: usize) -> Self {
        if request_bytes <= SMALL_REQUEST_BYTES_MAX {
            Self::Small
        } else {
            Self::Large
        }
    }
}

/// The memory units of one core.
#[derive(Clone)]
pub struct MemoryUnits {
    pool: Rc<RefCell<Pool>>,
}

struct Pool {
    used_bytes: usize,
    small: Waiting,
    large: Waiting,
}

/// One line.
struct Waiting {
    /// Up to where the pool is filled for this line.
    limit_bytes: usize,
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
    small_overdraft_bytes: usize,
    large_overdraft_bytes: usize,
}

impl Pool {
    fn line(&mut self, line: Line) -> &mut Waiting {
        match line {
            Line::Small => &mut self.small,
            Line::Large => &mut self.large,
        }
    }
}

impl Waiting {
    fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            overdraft_bytes: 0,
            waiters: VecDeque::new(),
        }
    }
}

impl MemoryUnits {
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        let pool = Pool {
            used_bytes: 0,
            small: Waiting::new(limit_bytes),
            large: Waiting::new(limit_bytes / 4 * 3),
        };
        Self {
            pool: Rc::new(RefCell::new(pool)),
        }
    }

    /// Adds `bytes` to what a connection holds, waiting for its turn when there is no room.
    pub async fn take(&self, line: Line, bytes: usize, held: &mut Units) {
        if self.try_take(line, bytes, held) {
            return;
        }
        let (grant, granted) = oneshot();
        let waiter = Waiter { bytes, grant };
        self.pool.borrow_mut().line(line).waiters.push_back(waiter);
        // The pool outlives its waiters, as `self` holds it; a lost grant still must not stop a connection.
        if let Some(units) = granted.await {
            held.merge(units);
        }
    }

    /// Adds `bytes` to what a connection holds, if nobody waits and there is room, or it overdraws already.
    #[must_use]
    pub fn try_take(&self, line: Line, bytes: usize, held: &mut Units) -> bool {
        if held.overdraft_bytes(line) > 0 {
            self.pool.borrow_mut().line(line).overdraft_bytes += bytes;
            *held.overdraft_bytes_mut(line) += bytes;
            return true;
        }
        if !self.pool.borrow_mut().line(line).waiters.is_empty() {
            return false;
        }
        match self.grant(line, bytes) {
            Some(units) => {
                held.merge(units);
                true
            }
            None => false,
        }
    }

    /// No units at all: a place to take others into.
    #[must_use]
    pub fn none(&self) -> Units {
        Units {
            pool: self.clone(),
            bytes: 0,
            small_overdraft_bytes: 0,
            large_overdraft_bytes: 0,
        }
    }

    fn grant(&self, line: Line, bytes: usize) -> Option<Units> {
        let mut pool = self.pool.borrow_mut();
        let used_bytes = pool.used_bytes;
        let waiting = pool.line(line);
        let mut units = self.none();
        if used_bytes + bytes <= waiting.limit_bytes {
            pool.used_bytes += bytes;
            units.bytes = bytes;
        } else if waiting.overdraft_bytes == 0 {
            waiting.overdraft_bytes = bytes;
            *units.overdraft_bytes_mut(line) = bytes;
        } else {
            return None;
        }
        Some(units)
    }

    fn grant_waiting(&self, line: Line) {
        loop {
            let front = self
                .pool
                .borrow_mut()
                .line(line)
                .waiters
                .front()
                .map(|waiter| waiter.bytes);
            let Some(bytes) = front else { return };
            let Some(units) = self.grant(line, bytes) else { return };
            let Some(waiter) = self.pool.borrow_mut().line(line).waiters.pop_front() else {
                return;
            };
            // A waiter that has gone hands its units back by dropping them.
            drop(waiter.grant.send(units));
        }
    }

    /// Whether somebody waits.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let pool = self.pool.borrow();
        !(pool.small.waiters.is_empty() && pool.large.waiters.is_empty())
    }

    /// Bytes in use, overdrafts included.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        let pool = self.pool.borrow();
        pool.used_bytes + pool.small.overdraft_bytes + pool.large.overdraft_bytes
    }
}

impl Units {
    fn overdraft_bytes(&self, line: Line) -> usize {
        match line {
            Line::Small => self.small_overdraft_bytes,
            Line::Large => self.large_overdraft_bytes,
        }
    }

    fn overdraft_bytes_mut(&mut self, line: Line) -> &mut usize {
        match line {
            Line::Small => &mut self.small_overdraft_bytes,
            Line::Large => &mut self.large_overdraft_bytes,
        }
    }

    fn merge(&mut self, mut other: Units) {
        self.bytes += std::mem::take(&mut other.bytes);
        for line in Line::ALL {
            *self.overdraft_bytes_mut(line) += std::mem::take(other.overdraft_bytes_mut(line));
        }
    }

    /// Parts at most `bytes` from these.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Units {
        let mut part = self.pool.none();
        let mut left = bytes;
        for line in Line::ALL {
            let taken = self.overdraft_bytes(line).min(left);
            *self.overdraft_bytes_mut(line) -= taken;
            *part.overdraft_bytes_mut(line) = taken;
            left -= taken;
        }
        part.bytes = self.bytes.min(left);
        self.bytes -= part.bytes;
        part
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        if self.bytes + self.small_overdraft_bytes + self.large_overdraft_bytes == 0 {
            return;
        }
        {
            let mut pool = self.pool.pool.borrow_mut();
            pool.used_bytes -= self.bytes;
            pool.small.overdraft_bytes -= self.small_overdraft_bytes;
            pool.large.overdraft_bytes -= self.large_overdraft_bytes;
        }
        for line in Line::ALL {
            self.pool.grant_waiting(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes as a connection of its own; `None` when it has to wait.
    fn take(units: &MemoryUnits, line: Line, bytes: usize) -> Option<Units> {
        let mut held = units.none();
        units.try_take(line, bytes, &mut held).then_some(held)
    }

    #[test]
    fn units_come_back_and_one_overdraft_is_allowed() {
        let units = MemoryUnits::new(100);
        let first = take(&units, Line::Small, 60).unwrap();
        let second = take(&units, Line::Small, 40).unwrap();
        let overdraft = take(&units, Line::Small, 500).unwrap();
        assert!(take(&units, Line::Small, 1).is_none(), "one overdraft at a time");
        assert_eq!(units.used_bytes(), 600);
        drop(first);
        assert_eq!(units.used_bytes(), 540);
        drop(overdraft);
        drop(second);
        assert_eq!(units.used_bytes(), 0);
    }

    #[test]
    fn large_requests_leave_room_for_small_ones() {
        let units = MemoryUnits::new(100);
        let held = take(&units, Line::Large, 75).unwrap();
        let mut overdraft = take(&units, Line::Large, 10).unwrap();
        assert!(take(&units, Line::Large, 1).is_none());
        assert!(units.try_take(Line::Large, 20, &mut overdraft), "who overdraws goes on");
        let small = take(&units, Line::Small, 25).unwrap();
        assert_eq!(units.used_bytes(), 130);
        drop(overdraft);
        assert!(take(&units, Line::Large, 1).is_some(), "the next may overdraw");
        drop((held, small));
        assert_eq!(units.used_bytes(), 0);
    }

    #[test]
    fn units_split_and_merge_without_loss() {
        let units = MemoryUnits::new(100);
        let mut held = take(&units, Line::Small, 80).unwrap();
        held.merge(take(&units, Line::Small, 50).unwrap());
        let part = held.split(60);
        assert_eq!(units.used_bytes(), 130);
        drop(held);
        assert_eq!(units.used_bytes(), 60);
        assert!(
            take(&units, Line::Small, 90).is_some(),
            "the overdraft is held by the part; the rest is free again"
        );
        drop(part);
        assert_eq!(units.used_bytes(), 0);
    }
}
