//! The one task that turns a core's ring.
//!
//! It stands in the queue of requests like any task, so each of its turns comes after every request task that could run has run once:
//! their submissions leave together, as many as are brief, and the rest after the next. It sleeps in the kernel only when no task can run and
//! no more is queued than leaves with the sleep; a completion, a timer or a bell ends the sleep.
//! A sleep needs no short limit, because everything that can wake this core arrives in this ring.

use std::future::poll_fn;
use std::panic::Location;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::reactor::Reactor;
use super::task::give_way;
use super::time;
use crate::base::time::Monotonic;

/// The longest sleep, so that a wake lost by an error of ours costs half a second and not for ever.
const SLEEP_MAX: Duration = Duration::from_millis(500);

/// Turns the ring until the core stops and nothing is in flight.
pub(super) async fn drive(reactor: Rc<Reactor>, spin: Option<Duration>) {
    let mut turn_ended = time::now();
    loop {
        let mut now = time::now();
        count_turn(&reactor, now.since(turn_ended));
        if reactor.tasks().have_ended() {
            reactor.stop();
            if reactor.in_flight() == 0 {
                return;
            }
        }
        if let Some(wait) = plan_wait(&reactor, now) {
            sleep(&reactor, wait, spin);
            reactor.stalls().pause();
            // The sleep is not work of this queue: it is accounted before anything is woken.
            next_turn(&reactor).await;
            now = time::now();
        } else if reactor.needs_enter() {
            reactor.begin_step();
            reactor.stalls().begin_part("enter");
            reactor.enter(None);
            reactor.end_step(Location::caller());
        }
        reactor.turn_began.set(now);
        reactor.begin_step();
        reactor.stalls().begin_part("dispatch");
        reactor.dispatch(now);
        reactor.end_step(Location::caller());
        reactor.tasks().wake_from_afar();
        turn_ended = now;
        next_turn(&reactor).await;
    }
}

/// How long to sleep; `None` when there is work.
fn plan_wait(reactor: &Rc<Reactor>, now: Monotonic) -> Option<Duration> {
    if reactor.tasks().can_run() || reactor.buffers().wake_waiters() || !reactor.submits_all() {
        return None;
    }
    let wait = reactor
        .next_timer()
        .map_or(SLEEP_MAX, |deadline| deadline.since(now).min(SLEEP_MAX));
    (!wait.is_zero() && reactor.begin_sleep()).then_some(wait)
}

fn sleep(reactor: &Rc<Reactor>, wait: Duration, spin: Option<Duration>) {
    reactor.count(|statistics| statistics.sleeps += 1);
    if !spin.is_some_and(|spin| spin_for_work(reactor, spin.min(wait))) {
        reactor.enter(Some(wait));
    }
    reactor.end_sleep();
}

/// Looks for completions without sleeping: for cores that have a CPU of their own. True when there is one.
fn spin_for_work(reactor: &Rc<Reactor>, spin: Duration) -> bool {
    let end = time::now().plus(spin);
    reactor.enter(None);
    loop {
        if reactor.has_completions() {
            return true;
        }
        if time::now() >= end {
            return false;
        }
        if reactor.needs_enter() {
            reactor.enter(None);
        }
        std::hint::spin_loop();
    }
}

/// Ends this turn: every request task that can run does so first; if there is none, one step of background work. (Were the driver to
/// go round for nothing meanwhile, it would use up the shares of requests, and background work would have a sixth of an idle core.)
async fn next_turn(reactor: &Rc<Reactor>) {
    give_way();
    let mut ended = false;
    poll_fn(|context| {
        if std::mem::replace(&mut ended, true) {
            return Poll::Ready(());
        }
        if reactor.tasks().only_background_can_run() {
            reactor.tasks().after_background_step(context.waker().clone());
        } else {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
}

fn count_turn(reactor: &Rc<Reactor>, lasted: Duration) {
    reactor.count(|statistics| {
        statistics.turns += 1;
        statistics.turn_longest = statistics.turn_longest.max(lasted);
    });
}
