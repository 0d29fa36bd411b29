use super::*;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<F: Future>(future: Pin<&mut F>, count: &Arc<Count>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(count))))
}

#[test]
fn an_event_wakes_all_that_wait_and_nobody_later() {
    let count = Arc::new(Count::default());
    let event = Event::new();
    let mut first = pin!(event.wait());
    let mut second = pin!(event.listen());
    assert!(poll(first.as_mut(), &count).is_pending());
    assert!(poll(second.as_mut(), &count).is_pending());
    event.notify();
    assert!(poll(first.as_mut(), &count).is_ready());
    assert!(poll(second.as_mut(), &count).is_ready());
    let mut later = pin!(event.wait());
    assert!(poll(later.as_mut(), &count).is_pending());
}

#[test]
fn a_listener_sees_what_happened_before_its_first_poll() {
    let count = Arc::new(Count::default());
    let event = Event::new();
    let mut listener = pin!(event.listen());
    event.notify();
    assert!(poll(listener.as_mut(), &count).is_ready());
}

#[test]
fn a_oneshot_gives_its_value_or_none() {
    let count = Arc::new(Count::default());
    let (sender, receiver) = oneshot();
    let mut receiver = pin!(receiver);
    assert!(poll(receiver.as_mut(), &count).is_pending());
    assert_eq!(sender.send(7), Ok(()));
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(poll(receiver.as_mut(), &count), Poll::Ready(Some(7)));

    let (sender, receiver) = oneshot::<u8>();
    drop(sender);
    assert_eq!(poll(pin!(receiver), &count), Poll::Ready(None));

    let (sender, receiver) = oneshot();
    drop(receiver);
    assert_eq!(sender.send(7), Err(7));
}

#[test]
fn a_turn_goes_round_in_order_and_skips_those_who_left() {
    let count = Arc::new(Count::default());
    let turn = Turn::new();
    let first = match poll(pin!(turn.acquire()), &count) {
        Poll::Ready(guard) => guard,
        Poll::Pending => panic!("a free turn is granted at once"),
    };
    let mut second = Box::pin(turn.acquire());
    let mut third = Box::pin(turn.acquire());
    assert!(poll(second.as_mut(), &count).is_pending());
    assert!(poll(third.as_mut(), &count).is_pending());
    drop(first);
    // Granted, but given up before it was taken: the third is next.
    drop(second);
    assert!(poll(third.as_mut(), &count).is_ready());
    drop(third);
    assert!(poll(pin!(turn.acquire()), &count).is_ready());
}
