//! The life of one core.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use crate::base::ids::ShardId;
use crate::base::limits::{DESCRIPTORS_OF_CLIENTS, REQUEST_MEMORY_BYTES_PER_CORE};
use crate::kafka::context::Context;
use crate::kafka::fetch_sessions::FetchSessions;
use crate::kafka::session;
use crate::net::admission::MemoryUnits;
use crate::net::listener::{Connections, accept_forever, sweep_idle, sweep_stalled};
use crate::rt;
use crate::rt::net::Listener;
use crate::shard::directories::ClosedShard;
use crate::shard::message::Message;
use crate::shard::{CONTROLLER, Shard, ShardStart};

use super::start::Shared;
use super::{CoreEvent, ServeError};

/// What a core begins with.
pub(super) struct CoreStart {
    pub shard: ShardId,
    pub shared: Arc<Shared>,
    pub endpoint: Option<rt::mesh::Endpoint<Message>>,
    pub events: Sender<CoreEvent>,
}

/// Runs the core until it is told to stop and has closed its logs.
pub(super) async fn run(start: CoreStart) {
    let events = start.events.clone();
    let reports_stalls = start.shared.config.broker.reports_stalls;
    if reports_stalls {
        rt::cores::measure_stalls_exactly();
    }
    let served = serve(start).await;
    if reports_stalls {
        report_stalls(Phase::Stopping);
    }
    let event = match served {
        Ok(closed) => CoreEvent::Stopped(closed),
        Err(error) => CoreEvent::Failed(error),
    };
    // The main thread hears this, or has gone and needs not.
    drop(events.send(event));
}

/// What a core is there for at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Starting,
    Serving,
    Stopping,
}

/// Tells which steps held this core for too long since the phase began. Only a core that serves has somebody who waits for it.
fn report_stalls(phase: Phase) {
    let Some(ShardId(core)) = rt::cores::current() else {
        return;
    };
    let stalls = rt::cores::take_stalls();
    let count: u64 = stalls.iter().map(|stall| stall.count).sum();
    tracing::info!(core, ?phase, count, "steps of more than 500 us");
    for stall in stalls {
        match phase {
            Phase::Serving => tracing::info!(core, "stall at {stall}"),
            Phase::Starting | Phase::Stopping => tracing::info!(core, ?phase, "nobody waited: {stall}"),
        }
    }
}

async fn serve(start: CoreStart) -> Result<ClosedShard, ServeError> {
    let CoreStart {
        shard: id,
        shared,
        endpoint,
        events,
    } = start;
    let Some(endpoint) = endpoint else {
        return Err(ServeError::Cores(std::io::ErrorKind::Other.into()));
    };
    let shard = Shard::new(ShardStart {
        id,
        cores: shared.cores,
        config: Arc::clone(&shared.config),
        endpoint: endpoint.attach(),
        directories: shared.directories.clone(),
        journal_bytes: shared.journal_bytes.clone(),
    })?;
    let reports_stalls = shared.config.broker.reports_stalls;
    rt::task::spawn(Rc::clone(&shard).pump());
    rt::task::spawn(Rc::clone(&shard.deadlines).run());
    rt::task::spawn_background(Rc::clone(&shard).expire_producers());
    rt::task::spawn_background(Rc::clone(&shard).retain());
    rt::task::spawn_background(Rc::clone(&shard).checkpoint_logs());
    rt::task::spawn_background(Rc::clone(&shard).compact_logs());
    rt::task::spawn_background(Rc::clone(&shard).expire_groups());
    rt::task::spawn_background(Rc::clone(&shard).watch_room());
    rt::task::spawn_background(Rc::clone(&shard.trash).run());
    if id == CONTROLLER {
        shard.start_controller(shared.endpoints()).await?;
    }
    let connections = Connections::new(connections_max(shared.cores));
    if shard.may_listen().await {
        if reports_stalls {
            // What this step did before, nobody waited for.
            rt::task::yield_now().await;
            report_stalls(Phase::Starting);
        }
        listen(&shard, &shared, &connections)?;
        // The main thread hears this, or has gone and needs not.
        drop(events.send(CoreEvent::Ready));
        shard.told_to_stop().await;
        if reports_stalls {
            report_stalls(Phase::Serving);
        }
    }
    connections.close_all();
    Ok(shard.close().await)
}

/// Connections of one core: files of logs must find descriptors when clients have taken many.
fn connections_max(cores: u16) -> usize {
    let for_clients = rt::host::descriptors_max() / 16 * DESCRIPTORS_OF_CLIENTS;
    usize::try_from(for_clients / u64::from(cores.max(1))).unwrap_or(usize::MAX)
}

fn listen(shard: &Rc<Shard>, shared: &Arc<Shared>, connections: &Connections) -> Result<(), ServeError> {
    let memory = MemoryUnits::new(REQUEST_MEMORY_BYTES_PER_CORE);
    let fetch_sessions_max = shared
        .config
        .broker
        .fetch_sessions_max
        .div_ceil(u32::from(shared.cores.max(1)));
    let fetch_sessions = Rc::new(FetchSessions::new(fetch_sessions_max as usize));
    for bound in &shared.listeners {
        // The port that all cores share, and the core's own.
        let own = bound.direct.get(shard.id.index());
        for (address, direct_core) in [(Some(&bound.address), None), (own, Some(shard.id))] {
            let Some(address) = address else { continue };
            let listener = Listener::bind(*address).map_err(|source| ServeError::Listen {
                listener: bound.name.clone(),
                address: address.to_string(),
                source,
            })?;
            let context = Rc::new(Context {
                shard: Rc::clone(shard),
                config: Arc::clone(&shared.config),
                listener: bound.name.clone(),
                nodes: bound.nodes(shared.config.broker.node_id),
                direct_core,
                fetch_sessions: Rc::clone(&fetch_sessions),
            });
            let memory = memory.clone();
            rt::task::spawn(accept_forever(listener, connections.clone(), move |accepted| {
                session::serve(Rc::clone(&context), memory.clone(), accepted)
            }));
        }
    }
    rt::task::spawn_background(sweep_stalled(connections.clone(), memory));
    if let Some(idle_max) = shared.config.broker.sockets.idle_max {
        rt::task::spawn_background(sweep_idle(connections.clone(), idle_max));
    }
    Ok(())
}
