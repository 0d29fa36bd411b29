//! One member of a classic group.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::coordinator::group::types::{Join, Protocol, Ticket};

/// A client, as the group knows it.
#[derive(Clone, Debug)]
pub struct Member {
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) session_timeout_ms: i32,
    pub(super) rebalance_timeout_ms: i32,
    /// In the order of its preference.
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    /// Its JoinGroup, while it waits.
    pub(super) awaiting_join: Option<Ticket>,
    /// Its SyncGroup, while it waits.
    pub(super) awaiting_sync: Option<Ticket>,
    /// It has not got its first answer: nobody may ever have learned its id.
    pub(super) is_new: bool,
}

impl Member {
    pub(super) fn new(join: &Join) -> Self {
        Self {
            instance_id: join.instance_id.clone(),
            client_id: Arc::clone(&join.client_id),
            client_host: Arc::clone(&join.client_host),
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            protocols: own(&join.protocols),
            assignment: Bytes::new(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: true,
        }
    }

    /// What it has to do in this generation, as the leader has written it.
    #[must_use]
    pub fn assignment(&self) -> &Bytes {
        &self.assignment
    }

    /// What it says of itself under a protocol.
    pub(super) fn metadata(&self, protocol: Option<&Arc<str>>) -> Bytes {
        let found = self.protocols.iter().find(|known| Some(&known.name) == protocol);
        found.map(|known| known.metadata.clone()).unwrap_or_default()
    }

    /// The protocol of `candidates`, which this many members support, that it likes best.
    pub(super) fn vote(&self, supported: &BTreeMap<Arc<str>, usize>, members: usize) -> Option<&Arc<str>> {
        let is_candidate = |protocol: &&Protocol| supported.get(&protocol.name) == Some(&members);
        self.protocols.iter().find(is_candidate).map(|protocol| &protocol.name)
    }

    /// Whether silence is no reason to give it up: it waits for others.
    pub(super) fn is_waiting_for_others(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }
}

/// The protocols in memory of their own: those of a request keep its whole frame. A name that is given twice counts once.
pub(super) fn own(protocols: &[Protocol]) -> Vec<Protocol> {
    let mut owned: Vec<Protocol> = Vec::with_capacity(protocols.len());
    for protocol in protocols {
        if owned.iter().all(|known| known.name != protocol.name) {
            owned.push(Protocol {
                name: Arc::clone(&protocol.name),
                metadata: Bytes::copy_from_slice(&protocol.metadata),
            });
        }
    }
    owned
}
