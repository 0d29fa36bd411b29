//! Moments at which waiting requests end. One heap and one timer a core.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::{Rc, Weak};

use crate::base::time::Monotonic;
use crate::rt;
use crate::rt::local::Event;

/// Takes its end.
pub trait Expire {
    /// The deadline has passed. A request that was answered before does nothing.
    fn expire(self: Rc<Self>);
}

struct Entry {
    at: Monotonic,
    number: u64,
    row: Weak<dyn Expire>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// The deadlines of one core. A row that is answered early is dropped by its owner and leaves a dead entry until its time.
#[derive(Default)]
pub struct Deadlines {
    heap: RefCell<BinaryHeap<Reverse<Entry>>>,
    number: std::cell::Cell<u64>,
    earlier: Event,
}

impl Deadlines {
    /// Ends `row` at `at`.
    pub fn add(&self, at: Monotonic, row: Weak<dyn Expire>) {
        let number = self.number.get();
        self.number.set(number + 1);
        let is_first = {
            let mut heap = self.heap.borrow_mut();
            let is_first = heap.peek().is_none_or(|Reverse(first)| at < first.at);
            heap.push(Reverse(Entry { at, number, row }));
            is_first
        };
        if is_first {
            self.earlier.notify();
        }
    }

    /// The rows whose time has come, and the next deadline.
    fn due(&self, now: Monotonic) -> (Vec<Rc<dyn Expire>>, Option<Monotonic>) {
        let mut heap = self.heap.borrow_mut();
        let mut due = Vec::new();
        while let Some(Reverse(first)) = heap.peek() {
            // Rows that were answered early are gone: their entries leave as they come to the front.
            let dead = first.row.strong_count() == 0;
            if first.at > now && !dead {
                return (due, Some(first.at));
            }
            if let Some(Reverse(entry)) = heap.pop() {
                due.extend(entry.row.upgrade());
            }
        }
        (due, None)
    }

    /// Ends rows as their time comes, for ever.
    pub async fn run(self: Rc<Self>) {
        loop {
            let earlier = self.earlier.listen();
            let now = rt::time::now();
            let (due, next) = self.due(now);
            for row in due {
                row.expire();
            }
            match next {
                Some(at) => {
                    // Either the time has come or an earlier deadline has: both are looked at again.
                    let _woken_or_due = rt::time::timeout(at.since(now), earlier).await;
                }
                None => earlier.await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Row(Cell<u32>);
    impl Expire for Row {
        fn expire(self: Rc<Self>) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn rows_come_due_in_order_and_dead_ones_vanish() {
        let deadlines = Deadlines::default();
        let rows: Vec<Rc<Row>> = (0..3).map(|_| Rc::new(Row(Cell::new(0)))).collect();
        for (row, at) in rows.iter().zip([30u64, 10, 20]) {
            let weak: Weak<dyn Expire> = Rc::<Row>::downgrade(row) as Weak<dyn Expire>;
            deadlines.add(Monotonic(at), weak);
        }
        let (due, next) = deadlines.due(Monotonic(10));
        assert_eq!((due.len(), next), (1, Some(Monotonic(20))));
        let mut rows = rows;
        rows.remove(2);
        let (due, next) = deadlines.due(Monotonic(10));
        assert_eq!((due.len(), next), (0, Some(Monotonic(30))));
        let (due, next) = deadlines.due(Monotonic(30));
        assert_eq!((due.len(), next), (1, None));
    }
}
