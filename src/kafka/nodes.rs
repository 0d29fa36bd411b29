//! Which brokers clients are told of: this node, or with `core.direct` each of its cores, so that a client which connects to the leader of a
//! partition reaches the core that owns it.
//!
//! Invariants:
//! * The first core has the id of the node; it is the controller that clients are told of.
//! * Ids of cores are known to clients and to the handlers of their requests alone; metadata knows nodes.

use std::sync::Arc;

use crate::base::ids::{NodeId, ShardId, TopicIdPartition};
use crate::base::limits::CORE_ID_STEP;
use crate::config::Endpoint;
use crate::metadata::Partition;
use crate::shard::placement;

/// The brokers as clients of one listener are told of them.
#[derive(Clone, Debug)]
pub struct Nodes {
    node: NodeId,
    host: Arc<str>,
    /// At least one; of each core, where each is a broker of its own.
    ports: Arc<[u16]>,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Node {
    pub id: i32,
    pub host: String,
    pub port: i32,
}

/// A partition as clients are told of it.
pub struct Placed {
    /// -1: nobody leads it.
    pub leader: i32,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
}

impl Nodes {
    /// `direct_ports` are those of the cores where each is a broker of its own, empty otherwise.
    #[must_use]
    pub fn new(node: NodeId, advertised: &Endpoint, direct_ports: &[u16]) -> Self {
        let ports: &[u16] = match direct_ports {
            [] => &[advertised.port],
            ports => ports,
        };
        Self {
            node,
            host: advertised.host.as_str().into(),
            ports: ports.into(),
        }
    }

    /// All of them, the first core first.
    pub fn all(&self) -> impl Iterator<Item = Node> {
        (0..self.cores()).map(|core| self.core(ShardId(core)))
    }

    /// The broker that clients send administration to.
    #[must_use]
    pub fn controller(&self) -> i32 {
        self.node.0
    }

    /// The broker that owns a partition.
    #[must_use]
    pub fn owner(&self, partition: TopicIdPartition) -> Node {
        self.core(placement::owner(partition, self.cores()))
    }

    /// Who leads and keeps a partition.
    #[must_use]
    pub fn of(&self, partition: TopicIdPartition, state: &Partition) -> Placed {
        let owner = self.id_of(placement::owner(partition, self.cores()));
        let told = |node: &NodeId| if *node == self.node { owner } else { node.0 };
        Placed {
            leader: state.leader.as_ref().map_or(-1, told),
            replicas: state.replicas.iter().map(told).collect(),
            in_sync: state.isr.iter().map(told).collect(),
        }
    }

    /// The node behind an id that a client gives.
    #[must_use]
    pub fn node_of(&self, id: i32) -> i32 {
        if self.ids().any(|own| own == id) {
            self.node.0
        } else {
            id
        }
    }

    /// Puts the nodes in the place of ids that a client gives.
    pub fn resolve<'a>(&self, ids: impl IntoIterator<Item = &'a mut i32>) {
        for id in ids {
            *id = self.node_of(*id);
        }
    }

    /// The ids of this node.
    pub fn ids(&self) -> impl Iterator<Item = i32> {
        (0..self.cores()).map(|core| self.id_of(ShardId(core)))
    }

    fn core(&self, core: ShardId) -> Node {
        Node {
            id: self.id_of(core),
            host: self.host.to_string(),
            port: self.ports.get(core.index()).copied().unwrap_or(0).into(),
        }
    }

    fn id_of(&self, ShardId(core): ShardId) -> i32 {
        self.node.0.saturating_add(i32::from(core).saturating_mul(CORE_ID_STEP))
    }

    fn cores(&self) -> u16 {
        u16::try_from(self.ports.len()).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{LeaderEpoch, TopicId};

    fn nodes(direct_ports: &[u16]) -> Nodes {
        let advertised = Endpoint {
            host: "h".to_owned(),
            port: 9092,
        };
        Nodes::new(NodeId(7), &advertised, direct_ports)
    }

    fn partition(index: i32) -> TopicIdPartition {
        TopicIdPartition {
            topic_id: TopicId([1; 16]),
            partition: index,
        }
    }

    fn told(nodes: &Nodes) -> Vec<(i32, i32)> {
        nodes.all().map(|node| (node.id, node.port)).collect()
    }

    #[test]
    fn one_broker_or_one_a_core() {
        assert_eq!(told(&nodes(&[])), [(7, 9092)]);
        assert_eq!(told(&nodes(&[1, 2, 3])), [(7, 1), (10_007, 2), (20_007, 3)]);
    }

    #[test]
    fn a_partition_is_led_by_the_core_that_owns_it() {
        for index in 0..50 {
            assert_eq!(nodes(&[]).owner(partition(index)).id, 7);
            let direct = nodes(&[1, 2, 3]);
            let owner = placement::owner(partition(index), 3);
            assert_eq!(direct.owner(partition(index)).port, i32::from(owner.0) + 1);
        }
    }

    #[test]
    fn other_nodes_keep_their_ids() {
        let state = Partition {
            replicas: vec![NodeId(7), NodeId(8)],
            isr: vec![NodeId(8)],
            leader: Some(NodeId(8)),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            adding_replicas: Vec::new(),
            removing_replicas: Vec::new(),
            eligible_leader_replicas: Vec::new(),
            last_known_leader_replicas: Vec::new(),
            directories: Vec::new(),
            is_leader_recovering: false,
        };
        let direct = nodes(&[1, 2]);
        let index = (0..).find(|index| placement::owner(partition(*index), 2) == ShardId(1));
        let placed = direct.of(partition(index.unwrap()), &state);
        assert_eq!(
            (placed.leader, placed.replicas, placed.in_sync),
            (8, vec![10_007, 8], vec![8])
        );
        let mut named = [7, 10_007, 20_007, 8];
        direct.resolve(&mut named);
        assert_eq!(named, [7, 7, 20_007, 8]);
    }
}
