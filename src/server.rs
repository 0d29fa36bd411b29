//! From a configuration to a running broker, and back: wiring only.
//!
//! The main thread claims directories and ports, starts the cores and waits. Each core opens its partitions from the first metadata
//! image and then listens. A signal, or a core that fails, begins the stop: no more connections, logs closed and synced, then exit.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::base::time::Monotonic;
use crate::config::Config;
use crate::rt;
use crate::rt::signal::Signals;
use crate::shard::directories::ClosedShard;
use crate::shard::message::Message;

mod banner;
mod core;
mod error;
mod ports;
mod start;

pub use error::ServeError;
use start::{Prepared, Running, with_identity};

/// How often the main thread looks whether a core has something to say.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);
/// The same while the cores start or stop, where each moment counts.
const WATCH_INTERVAL_BRIEF: Duration = Duration::from_millis(1);
/// How often freed memory goes back to the system.
const GIVE_BACK_INTERVAL: Duration = Duration::from_secs(10);
/// A stop that takes longer is given up: what is not closed is recovered at the next start.
const STOP_MAX: Duration = Duration::from_secs(20);

/// While partitions are opened, systemd is told so at this interval, and to wait for longer than until the next time.
const STARTING_TOLD_INTERVAL: Duration = Duration::from_secs(10);
const STARTING_EXTENSION_MICROS: u32 = 60_000_000;

/// What a core tells the main thread.
pub(crate) enum CoreEvent {
    /// Its partitions are open and its listeners answer.
    Ready,
    /// Its logs are closed.
    Stopped(ClosedShard),
    /// It cannot go on.
    Failed(ServeError),
}

/// Runs the broker until it is told to stop.
///
/// # Errors
/// What keeps it from starting or from going on: what, where, and what to do.
pub fn serve(config: Config) -> Result<(), ServeError> {
    rt::probe::check().map_err(ServeError::Machine)?;
    if let Err(error) = rt::host::refuse_huge_pages() {
        tracing::warn!(%error, "the kernel does not let this process go without huge pages: cores may stall while it makes one");
    }
    if let Err(error) = rt::host::reserve_descriptors() {
        tracing::warn!(%error, "the kernel makes no room for all descriptors at once: cores may stall when it makes some");
    }
    rt::memory::keep_freed();
    let signals = Signals::block().map_err(ServeError::Signals)?;
    let prepared = Prepared::new(Arc::new(with_identity(config)?))?;
    let (events, from_cores) = channel();
    tell_systemd(&[NotifyState::Status("opening partitions")]);
    let running = prepared.run(&events)?;
    let outcome = run_until_end(&running, &signals, &from_cores);
    tell_systemd(&[NotifyState::Stopping]);
    // A core that failed has said its last word.
    stop(&running, &from_cores, usize::from(outcome.is_err()));
    outcome
}

fn run_until_end(running: &Running, signals: &Signals, from_cores: &Receiver<CoreEvent>) -> Result<(), ServeError> {
    let mut starting = running.cores();
    let mut announced = false;
    let mut told = rt::time::now();
    let mut gave_back = told;
    loop {
        let interval = if starting > 0 {
            WATCH_INTERVAL_BRIEF
        } else {
            WATCH_INTERVAL
        };
        if let Some(signal) = signals.wait(interval) {
            tracing::info!(?signal, "stopping");
            return Ok(());
        }
        if starting > 0 && rt::time::now().since(told) >= STARTING_TOLD_INTERVAL {
            told = rt::time::now();
            tell_starting(running.cores() - starting, running.cores());
        }
        if rt::time::now().since(gave_back) >= GIVE_BACK_INTERVAL {
            rt::memory::give_back_freed();
            gave_back = rt::time::now();
        }
        for event in from_cores.try_iter() {
            match event {
                CoreEvent::Ready => starting = starting.saturating_sub(1),
                CoreEvent::Stopped(_) => {}
                CoreEvent::Failed(error) => return Err(error),
            }
            if starting == 0 && !announced {
                announced = true;
                banner::print(running);
                tell_systemd(&[NotifyState::Ready, NotifyState::Status("serving")]);
            }
        }
    }
}

/// Tells every core to stop and waits until their logs are closed; `failed_before` of them have ended already.
fn stop(running: &Running, from_cores: &Receiver<CoreEvent>, failed_before: usize) {
    for core in 0..running.cores() {
        if running.endpoint.try_send(core, Message::Stop).is_err() {
            tracing::warn!(
                core,
                "a core takes no messages; its logs are recovered at the next start"
            );
        }
    }
    let began: Monotonic = rt::time::now();
    let mut stopping = running.cores().saturating_sub(failed_before);
    let mut closed = ClosedShard::default();
    let mut failed = failed_before > 0;
    while stopping > 0 {
        let Some(left) = STOP_MAX.checked_sub(rt::time::now().since(began)) else {
            tracing::warn!(
                cores = stopping,
                "cores have not stopped in time; their logs are recovered at the next start"
            );
            return;
        };
        match from_cores.recv_timeout(left) {
            Ok(CoreEvent::Stopped(core)) => {
                closed.logs.extend(core.logs);
                closed.needs_sync |= core.needs_sync;
                closed.broker_epoch = closed.broker_epoch.or(core.broker_epoch);
                stopping -= 1;
            }
            Ok(CoreEvent::Ready) => {}
            Ok(CoreEvent::Failed(error)) => {
                tracing::error!(%error, "a core failed while stopping");
                failed = true;
                stopping -= 1;
            }
            Err(_) => {}
        }
    }
    if !failed {
        running.mark_clean(&closed);
    }
}

/// Recovery takes as long as the logs are large: systemd must not take it for a start that hangs.
fn tell_starting(ready: usize, cores: usize) {
    let status = format!("opening partitions, recovering what a crash has left: {ready} of {cores} cores are ready");
    tracing::info!("{status}");
    tell_systemd(&[
        NotifyState::ExtendTimeoutUsec(STARTING_EXTENSION_MICROS),
        NotifyState::Status(&status),
    ]);
}

/// Tells systemd, where it started this process and asked to be told.
fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told the state of the service");
    }
}
