//! The ports on which clients are served: those of listeners, and with `core.direct` those of single cores.

use std::collections::BTreeSet;

use crate::base::ids::NodeId;
use crate::base::limits::CORE_ID_STEP;
use crate::config::{Config, Endpoint, Listener};
use crate::kafka::nodes::Nodes;
use crate::rt;
use crate::rt::SocketAddr;

use super::ServeError;

/// A listener whose port is known.
pub(super) struct BoundListener {
    pub name: String,
    pub address: SocketAddr,
    pub advertised: Endpoint,
    /// Of each core, where each is a broker of its own.
    pub direct: Vec<SocketAddr>,
}

impl BoundListener {
    /// Whom its clients are told of.
    pub(super) fn nodes(&self, node: NodeId) -> Nodes {
        let ports: Vec<u16> = self.direct.iter().map(SocketAddr::port).collect();
        Nodes::new(node, &self.advertised, &ports)
    }
}

/// Sees that each port can be had.
pub(super) fn claim_listeners(config: &Config, cores: u16) -> Result<Vec<BoundListener>, ServeError> {
    let NodeId(node_id) = config.broker.node_id;
    if config.broker.direct_port.is_some() && node_id >= CORE_ID_STEP {
        return Err(ServeError::DirectNodeId { node_id });
    }
    let mut bound: Vec<BoundListener> = Vec::new();
    for listener in &config.broker.listeners {
        let address = claim(&listener.name, &listener.bind)?;
        let mut advertised = listener.advertised.clone();
        if advertised.port == 0 {
            advertised.port = address.port();
        }
        let direct = match config.broker.direct_port {
            Some(0) => claim_any(listener, cores)?,
            Some(first) => {
                let first = u32::from(first) + u32::from(cores) * u32::try_from(bound.len()).unwrap_or(u32::MAX);
                claim_each(listener, direct_ports(&listener.name, first, cores)?)?
            }
            None => Vec::new(),
        };
        bound.push(BoundListener {
            name: listener.name.clone(),
            address,
            advertised,
            direct,
        });
    }
    Ok(bound)
}

fn direct_ports(listener: &str, first: u32, cores: u16) -> Result<impl Iterator<Item = u16>, ServeError> {
    let last = first.saturating_add(u32::from(cores) - 1);
    match (u16::try_from(first), u16::try_from(last)) {
        (Ok(first), Ok(last)) => Ok(first..=last),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => Err(ServeError::NoDirectPorts {
            listener: listener.to_owned(),
            first,
            cores,
        }),
    }
}

/// Free ports, which differ: none is held yet.
fn claim_any(listener: &Listener, cores: u16) -> Result<Vec<SocketAddr>, ServeError> {
    let mut claimed = BTreeSet::new();
    for _ in 0..usize::from(cores) * 8 {
        claimed.extend(claim_each(listener, std::iter::once(0))?);
        if claimed.len() == usize::from(cores) {
            return Ok(claimed.into_iter().collect());
        }
    }
    Err(ServeError::NoDirectPorts {
        listener: listener.name.clone(),
        first: 0,
        cores,
    })
}

/// Ports on the interface of a listener.
fn claim_each(listener: &Listener, ports: impl Iterator<Item = u16>) -> Result<Vec<SocketAddr>, ServeError> {
    let at = |port| Endpoint {
        port,
        ..listener.bind.clone()
    };
    ports.map(|port| claim(&listener.name, &at(port))).collect()
}

fn claim(listener: &str, bind: &Endpoint) -> Result<SocketAddr, ServeError> {
    let (listener, address) = (listener.to_owned(), bind.to_string());
    let resolved = match rt::host::resolve(&bind.host, bind.port) {
        Ok(resolved) => resolved,
        Err(source) => {
            return Err(ServeError::Resolve {
                listener,
                address,
                source,
            });
        }
    };
    rt::net::claim(resolved).map_err(|source| {
        if source.kind() == std::io::ErrorKind::AddrInUse {
            ServeError::PortTaken { listener, address }
        } else {
            ServeError::Listen {
                listener,
                address,
                source,
            }
        }
    })
}
