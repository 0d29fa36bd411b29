use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::rt::local;
use crate::rt::task::{block_on, run_aside, spawn, spawn_background, yield_now};
use crate::rt::{cores, mesh, time};

#[test]
fn a_core_runs_its_future_and_ends() {
    assert_eq!(block_on(|| async { 7 }), 7);
    // A second one in the same process.
    assert_eq!(block_on(|| async { 8 }), 8);
}

#[test]
fn a_panic_in_a_task_reaches_the_caller() {
    let outcome = std::panic::catch_unwind(|| {
        block_on(|| async {
            spawn(async { panic!("on purpose") });
            time::sleep(Duration::from_secs(5)).await;
        });
    });
    assert!(outcome.is_err());
}

#[test]
fn tasks_of_both_queues_run_and_the_rest_is_dropped_at_the_end() {
    struct OnDrop(std::sync::mpsc::Sender<()>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    block_on(|| async {
        let count = Rc::new(Cell::new(0));
        let (done, all_done) = local::oneshot();
        let done = Rc::new(Cell::new(Some(done)));
        for index in 0..100 {
            let (count, done) = (Rc::clone(&count), Rc::clone(&done));
            let task = async move {
                for _ in 0..10 {
                    yield_now().await;
                }
                count.set(count.get() + 1);
                if count.get() == 100 {
                    let _ = done.take().map(|done| done.send(()));
                }
            };
            if index % 2 == 0 {
                spawn(task)
            } else {
                spawn_background(task)
            }
        }
        assert_eq!(all_done.await, Some(()));
        let guard = OnDrop(sender);
        spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
    });
    assert_eq!(receiver.recv(), Ok(()));
}

#[test]
fn sleeps_end_in_order_and_not_early() {
    block_on(|| async {
        let began = time::now();
        let (sender, receiver) = local::oneshot();
        // Its time runs from here on, however late the task begins.
        let short = time::sleep(Duration::from_millis(5));
        spawn(async move {
            short.await;
            let _ = sender.send(time::now());
        });
        time::sleep(Duration::from_millis(20)).await;
        let long = time::now().since(began);
        assert!(long >= Duration::from_millis(20));
        assert!(receiver.await.is_some_and(|at| at.since(began) < long));
        let limited = time::timeout(Duration::from_millis(2), std::future::pending::<()>()).await;
        assert!(limited.is_none());
        assert_eq!(time::timeout(Duration::from_secs(1), async { 3 }).await, Some(3));
    });
}

#[test]
fn a_waker_works_from_another_thread() {
    let took = block_on(|| async {
        let (sender, receiver) = std::sync::mpsc::channel::<std::task::Waker>();
        let thread = std::thread::spawn(move || {
            if let Ok(waker) = receiver.recv() {
                waker.wake();
            }
        });
        let began = time::now();
        let mut polled = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut polled, true) {
                return std::task::Poll::Ready(());
            }
            let _ = sender.send(context.waker().clone());
            std::task::Poll::Pending
        })
        .await;
        let _ = thread.join();
        time::now().since(began)
    });
    assert!(took < Duration::from_millis(200), "{took:?}");
}

#[test]
fn messages_cross_the_mesh_in_order_and_a_full_queue_gives_them_back() {
    for count in [2, 4] {
        let rounds = 20_000u64;
        let mut endpoints = mesh::new::<u64>(count + 1, 64).unwrap();
        let control = endpoints.pop().unwrap();
        let slots: Vec<_> = endpoints
            .into_iter()
            .map(|endpoint| std::sync::Mutex::new(Some(endpoint)))
            .collect();
        let slots = std::sync::Arc::new(slots);
        let plans = cores::plan(count, None).unwrap();
        let handles = cores::run(&plans, move |shard| {
            let endpoint = slots[shard.index()].lock().unwrap().take().unwrap();
            async move {
                let endpoint = endpoint.attach();
                let next = (endpoint.index() + 1) % count;
                let mut sent = 0;
                let mut got = 0;
                while got < rounds {
                    while sent < rounds && endpoint.try_send(next, sent).is_ok() {
                        sent += 1;
                    }
                    let messages = endpoint.receive().await;
                    for (_, number) in &messages {
                        assert_eq!(*number, got);
                        got += 1;
                    }
                    endpoint.recycle(messages);
                }
                while sent < rounds {
                    if endpoint.try_send(next, sent).is_ok() {
                        sent += 1
                    } else {
                        yield_now().await
                    }
                }
                assert!(endpoint.try_send(count, sent).is_ok());
            }
        })
        .unwrap();
        let mut said = 0;
        while said < count {
            said += control.receive_blocking(Duration::from_secs(10)).len();
        }
        handles.into_iter().for_each(cores::CoreHandle::join);
    }
}

/// A task that works for `steps` steps of some microseconds, with a yield after each.
async fn work(steps: usize, done: local::Sender<()>) {
    for _ in 0..steps {
        let began = time::now();
        while time::now().since(began) < Duration::from_micros(20) {
            std::hint::spin_loop();
        }
        yield_now().await;
    }
    let _ = done.send(());
}

#[test]
fn background_work_alone_has_the_whole_core() {
    block_on(|| async {
        let (sender, done) = local::oneshot();
        let before = cores::statistics().unwrap().turns;
        spawn_background(work(1000, sender));
        assert_eq!(done.await, Some(()));
        let turns = cores::statistics().unwrap().turns - before;
        // One turn a step, not one whenever the driver feels like it.
        assert!((500..2000).contains(&turns), "{turns}");
    });
}

#[test]
fn requests_come_before_background_work_and_do_not_starve_it() {
    block_on(|| async {
        let (request, request_done) = local::oneshot();
        let (background, background_done) = local::oneshot();
        let began = time::now();
        spawn_background(async move {
            work(100, background).await;
        });
        spawn(work(1000, request));
        assert_eq!(request_done.await, Some(()));
        let requests_took = time::now().since(began);
        assert_eq!(background_done.await, Some(()));
        // A fifth of the shares: some 200 of its steps have room beside 1000 of the requests.
        let all_took = time::now().since(began);
        assert!(all_took < requests_took * 2, "{requests_took:?} {all_took:?}");
    });
}

#[test]
fn a_task_that_does_not_yield_is_told_by_its_place() {
    block_on(|| async {
        cores::measure_stalls_exactly();
        let (sender, done) = local::oneshot();
        let line = line!() + 1;
        spawn(async move {
            crate::rt::task::begin_part("brief");
            crate::rt::task::begin_part("long");
            let began = time::now();
            // Long enough that a machine that is shared gives this thread its share of it.
            while time::now().since(began) < Duration::from_millis(50) {
                std::hint::spin_loop();
            }
            let _ = sender.send(());
        });
        assert_eq!(done.await, Some(()));
        let worst = cores::take_stalls();
        assert!(
            worst
                .iter()
                .any(|stall| stall.task.line() == line && stall.part == "long"),
            "{worst:?}"
        );
        let longest = worst.first().map(|stall| stall.longest);
        assert_eq!(cores::statistics().map(|statistics| statistics.stall_longest), longest);
    });
}

#[test]
fn long_work_runs_aside_and_the_core_goes_on() {
    let done = block_on(|| async {
        let core = std::thread::current().id();
        let (tell, told) = std::sync::mpsc::channel();
        let (sender, receiver) = local::oneshot();
        spawn(async move {
            // The work waits until this core has gone on.
            let outcome = run_aside(move || (told.recv(), std::thread::current().id() == core));
            let _ = sender.send(outcome.await);
        });
        yield_now().await;
        let _ = tell.send(7);
        let outcome = receiver.await;
        let none = run_aside(|| panic!("on purpose")).await;
        assert_eq!(none, None::<()>);
        outcome
    });
    assert_eq!(done, Some(Some((Ok(7), false))));
}

#[test]
fn what_other_threads_wake_runs_beside_requests_that_never_rest() {
    let ended = block_on(|| async {
        let left = Rc::new(Cell::new(100u32));
        for _ in 0..4 {
            let left = Rc::clone(&left);
            spawn_background(async move {
                while left.get() > 0 && run_aside(|| ()).await.is_some() {
                    left.set(left.get().saturating_sub(1));
                }
            });
        }
        while left.get() > 0 {
            yield_now().await;
        }
        // Nothing else keeps the core awake now: the wake itself has to.
        let (sender, receiver) = local::oneshot();
        spawn_background(async move {
            let (_silent, nothing) = std::sync::mpsc::channel::<()>();
            let pause = move || nothing.recv_timeout(Duration::from_millis(1)).is_err();
            let _ = sender.send(run_aside(pause).await);
        });
        receiver.await
    });
    assert_eq!(ended, Some(Some(true)));
}

#[test]
fn a_core_ends_when_only_background_work_is_left_of_it() {
    block_on(|| async {
        for _ in 0..3 {
            spawn_background(std::future::pending());
        }
        yield_now().await;
    });
}
