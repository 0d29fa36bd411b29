//! InitProducerId, for producers that are idempotent but not transactional.

use std::collections::BTreeSet;

use duramen_wire::ApiKey;
use duramen_wire::messages::InitProducerIdRequest;

use crate::client::Client;
use crate::codes::{COORDINATOR_NOT_AVAILABLE, INVALID_REQUEST, NONE};
use crate::fixture::new_producer_id;
use crate::harness::Broker;

fn request() -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        ..InitProducerIdRequest::default()
    }
}

#[test]
fn every_version_gives_a_new_id() {
    let broker = Broker::start(1);
    let mut client = broker.client();
    let mut ids = BTreeSet::from([new_producer_id(&mut client)]);
    for version in ApiKey::InitProducerId.versions() {
        let response = client.call(version, &request());
        assert_eq!(response.error_code, NONE, "v{version}");
        assert_eq!(response.producer_epoch, 0, "v{version}");
        assert!(response.producer_id >= 0, "v{version}");
        assert!(
            ids.insert(response.producer_id),
            "v{version}: {} again",
            response.producer_id
        );
    }
}

fn add_ids(client: &mut Client, count: usize, ids: &mut BTreeSet<i64>) {
    for _ in 0..count {
        let id = new_producer_id(client);
        assert!(ids.insert(id), "producer id {id} was given out twice");
    }
}

/// Connections land on different cores.
#[test]
fn ids_differ_over_connections() {
    let broker = Broker::start(4);
    let mut ids = BTreeSet::new();
    let mut clients: Vec<_> = (0..16).map(|_| broker.client()).collect();
    for _ in 0..20 {
        for client in &mut clients {
            add_ids(client, 5, &mut ids);
        }
    }
    assert_eq!(ids.len(), 1600);
}

#[test]
fn ids_differ_over_restarts() {
    let Some(mut broker) = Broker::start_own(2, &[]) else {
        return;
    };
    let mut ids = BTreeSet::new();
    add_ids(&mut broker.client(), 10, &mut ids);
    broker.kill_and_restart(2);
    add_ids(&mut broker.client(), 10, &mut ids);
    broker.restart(1);
    add_ids(&mut broker.client(), 10, &mut ids);
    broker.kill_and_restart(1);
    broker.kill_and_restart(4);
    add_ids(&mut broker.client(), 10, &mut ids);
}

/// There are no transactions yet. A producer that wants them must not believe that it has them.
#[test]
fn transactions_are_refused() {
    let Some(broker) = Broker::start_own(1, &[]) else {
        return;
    };
    let mut client = broker.client();
    let ids = [("transactions", COORDINATOR_NOT_AVAILABLE), ("", INVALID_REQUEST)];
    for (version, (id, code)) in ApiKey::InitProducerId
        .versions()
        .flat_map(|version| ids.map(|id| (version, id)))
    {
        let request = InitProducerIdRequest {
            transactional_id: Some(id.to_owned()),
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        let response = client.call(version, &request);
        assert_eq!(response.error_code, code, "v{version}, {id:?}");
        assert_eq!(
            (response.producer_id, response.producer_epoch),
            (-1, -1),
            "v{version}, {id:?}"
        );
    }
}
