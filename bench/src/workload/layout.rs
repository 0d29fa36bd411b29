//! Which connection goes to which broker, which partition each of its requests goes to, and which batch of its stream that is.
//!
//! Brokers that lead partitions have their connections in turns. Request `n` of the connection that is the `k`th of `c` of its broker is the
//! `n * c + k`th of the broker, and goes to the partition of that number modulo those that the broker leads. So a connection comes to the
//! same partitions again and again, in turns of a period.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::client::Leaders;
use crate::failure::{Result, fail};
use crate::number::{count, index};

/// See the module. Clones are the same.
#[derive(Clone, Debug)]
pub struct Layout {
    connections: u64,
    groups: Arc<[Group]>,
    /// By partition: its place among those of its broker.
    places: Arc<[u64]>,
}

/// A broker, and what goes to it.
#[derive(Debug)]
struct Group {
    address: SocketAddr,
    connections: u64,
    partitions: Vec<i32>,
    period: u64,
    /// The turn of the partition that lies so many places behind a connection's first.
    turns: Vec<u64>,
}

impl Layout {
    pub fn new(connections: u32, leaders: &Leaders) -> Result<Self> {
        let (connections, brokers) = (u64::from(connections.max(1)), count(leaders.addresses.len()));
        if connections < brokers {
            fail!("{brokers} brokers lead partitions: a load needs a connection for each, and has {connections}");
        }
        let mut partitions: Vec<Vec<i32>> = vec![Vec::new(); leaders.addresses.len()];
        let mut places = Vec::with_capacity(leaders.of.len());
        for (partition, leader) in (0..).zip(&leaders.of) {
            places.push(count(partitions[*leader].len()));
            partitions[*leader].push(partition);
        }
        let groups = (0..).zip(leaders.addresses.iter().zip(partitions));
        let groups = groups.map(|(broker, (address, partitions))| {
            // Those of the last turn are shared from the front.
            let own = connections / brokers + u64::from(broker < connections % brokers);
            Group::new(*address, own, partitions)
        });
        Ok(Self {
            connections,
            groups: groups.collect(),
            places: places.into(),
        })
    }

    /// The broker of a connection, and which of its connections it is.
    fn way(&self, connection: u64) -> (&Group, u64) {
        let brokers = count(self.groups.len());
        (&self.groups[index(connection % brokers)], connection / brokers)
    }

    /// Where a connection goes.
    pub fn address(&self, connection: u64) -> SocketAddr {
        self.way(connection).0.address
    }

    /// The place of a request among those of all connections.
    pub fn position(&self, connection: u64, request: u64) -> u64 {
        request * self.connections + connection
    }

    pub fn partition(&self, connection: u64, request: u64) -> i32 {
        let (group, own) = self.way(connection);
        group.partitions[group.place(own, request)]
    }

    /// How many partitions a connection comes to.
    pub fn period(&self, connection: u64) -> u64 {
        self.way(connection).0.period
    }

    /// Which of the connection's partitions it is, in the order of their first turn.
    pub fn turn(&self, connection: u64, request: u64) -> usize {
        index(request % self.period(connection))
    }

    /// The number of the batch in the stream of this connection and partition.
    pub fn number(&self, connection: u64, request: u64) -> u64 {
        request / self.period(connection)
    }

    /// The place among those of all connections of the request that a batch came from.
    pub fn position_of(&self, connection: u64, partition: i32, number: u64) -> u64 {
        let (group, own) = self.way(connection);
        let partitions = count(group.partitions.len());
        let place = self.places[index(u64::from(partition.unsigned_abs()))];
        let behind = (place + partitions - own % partitions) % partitions;
        self.position(connection, number * group.period + group.turns[index(behind)])
    }

    /// The partitions that are a connection's alone, or, where there are more connections, the one that it shares with others.
    pub fn share(&self, connection: u64) -> impl Iterator<Item = i32> {
        let (group, own) = self.way(connection);
        let partitions = count(group.partitions.len());
        let is_own = move |place: &u64| place % group.connections == own || own % partitions == *place;
        let places = (0..partitions).filter(is_own);
        places.map(|place| group.partitions[index(place)])
    }
}

impl Group {
    fn new(address: SocketAddr, connections: u64, partitions: Vec<i32>) -> Self {
        let period = count(partitions.len()) / common_divisor(connections, count(partitions.len()));
        let mut group = Self {
            address,
            connections,
            period,
            turns: vec![0; partitions.len()],
            partitions,
        };
        for turn in 0..period {
            let place = group.place(0, turn);
            group.turns[place] = turn;
        }
        group
    }

    fn place(&self, connection: u64, request: u64) -> usize {
        index((request * self.connections + connection) % count(self.partitions.len()))
    }
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Partitions of so many brokers, the last of which leads more than the others.
    fn leaders(brokers: usize, partitions: usize) -> Leaders {
        let address = |broker: usize| SocketAddr::from(([127, 0, 0, 1], 9000 + u16::try_from(broker).unwrap()));
        Leaders {
            addresses: (0..brokers).map(address).collect(),
            of: (0..partitions)
                .map(|partition| (partition % (brokers + 1)).min(brokers - 1))
                .collect(),
        }
    }

    #[test]
    fn every_partition_gets_its_batches_in_order_from_its_leader() {
        for (brokers, connections, partitions) in [
            (1, 4, 12),
            (1, 16, 12),
            (1, 1, 7),
            (1, 5, 7),
            (1, 64, 1),
            (1, 3, 1000),
            (2, 4, 12),
            (3, 5, 7),
            (4, 64, 100),
        ] {
            let leaders = leaders(brokers, partitions);
            let layout = Layout::new(connections, &leaders).unwrap();
            let mut next = BTreeMap::new();
            let mut all = vec![0_u64; partitions];
            for request in 0..2000 {
                for connection in 0..u64::from(connections) {
                    let partition = layout.partition(connection, request);
                    let at = usize::try_from(partition).unwrap();
                    assert_eq!(layout.address(connection), leaders.addresses[leaders.of[at]]);
                    let next = next.entry((connection, partition)).or_insert(0);
                    let number = layout.number(connection, request);
                    assert_eq!(number, *next);
                    *next += 1;
                    all[at] += 1;
                    assert!(layout.turn(connection, request) < index(layout.period(connection)));
                    let found = layout.position_of(connection, partition, number);
                    assert_eq!(found, layout.position(connection, request));
                }
            }
            for broker in 0..brokers {
                let own = || all.iter().zip(&leaders.of).filter(|(_, leader)| **leader == broker);
                let counts = || own().map(|(requests, _)| *requests);
                let (least, most) = (counts().min().unwrap(), counts().max().unwrap());
                assert!(
                    most - least <= 1,
                    "{brokers} {connections} {partitions}: {least} {most}"
                );
            }
        }
    }

    #[test]
    fn consumers_share_the_partitions_of_a_broker() {
        for (brokers, connections, partitions) in [(1, 4, 12), (1, 16, 12), (2, 5, 12), (3, 3, 7)] {
            let leaders = leaders(brokers, partitions);
            let layout = Layout::new(connections, &leaders).unwrap();
            let mut readers = vec![0; partitions];
            for connection in 0..u64::from(connections) {
                for partition in layout.share(connection) {
                    let at = usize::try_from(partition).unwrap();
                    assert_eq!(layout.address(connection), leaders.addresses[leaders.of[at]]);
                    readers[at] += 1;
                }
            }
            assert!(readers.iter().all(|readers| *readers > 0), "{readers:?}");
            if usize::try_from(connections).unwrap() <= partitions / brokers {
                assert!(readers.iter().all(|readers| *readers == 1), "{readers:?}");
            }
        }
    }

    #[test]
    fn each_leader_needs_a_connection() {
        let error = Layout::new(2, &leaders(3, 7)).err().unwrap().to_string();
        assert_eq!(
            error,
            "3 brokers lead partitions: a load needs a connection for each, and has 2"
        );
    }
}
