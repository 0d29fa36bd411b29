//! What tests of the consumer protocol need: its requests, and a member.

use std::time::Duration;

use duramen_wire::messages::consumer_group_describe_response::DescribedGroup;
use duramen_wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use duramen_wire::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};

use crate::client::Client;
use crate::codes::NONE;
use crate::harness::poll;

pub const HEARTBEAT: i16 = 1;
pub const DESCRIBE: i16 = 1;

pub fn joining(group: &str, member: &str, topics: &[&str]) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.to_owned(),
        member_id: member.to_owned(),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(topics.iter().map(|&topic| topic.to_owned()).collect()),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

pub fn going_on(group: &str, member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.to_owned(),
        member_id: member.to_owned(),
        member_epoch: epoch,
        rebalance_timeout_ms: -1,
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

/// A client of the consumer protocol: it does what it is told, at once.
pub struct Member {
    pub group: String,
    pub id: String,
    pub instance: Option<String>,
    pub epoch: i32,
    pub owned: Vec<TopicPartitions>,
}

impl Member {
    pub fn join(client: &mut Client, request: ConsumerGroupHeartbeatRequest) -> Self {
        let response = client.call(HEARTBEAT, &request);
        assert_eq!((response.error_code, &response.error_message), (NONE, &None));
        let mut member = Self {
            group: request.group_id,
            id: request.member_id,
            instance: request.instance_id,
            epoch: response.member_epoch,
            owned: Vec::new(),
        };
        member.take(response);
        member
    }

    pub fn take(&mut self, response: ConsumerGroupHeartbeatResponse) {
        self.epoch = response.member_epoch;
        if let Some(assignment) = response.assignment {
            let topics = assignment.topic_partitions.into_iter();
            let owned = topics.map(|topic| TopicPartitions {
                topic_id: topic.topic_id,
                partitions: topic.partitions,
            });
            self.owned = owned.collect();
        }
    }

    pub fn beat(&mut self, client: &mut Client) {
        let request = ConsumerGroupHeartbeatRequest {
            instance_id: self.instance.clone(),
            topic_partitions: Some(self.owned.clone()),
            ..going_on(&self.group, &self.id, self.epoch)
        };
        let response = client.call(HEARTBEAT, &request);
        assert_eq!((response.error_code, &response.error_message), (NONE, &None));
        self.take(response);
    }

    /// Its partitions of the only topic.
    pub fn partitions(&self) -> Vec<i32> {
        let mut partitions: Vec<i32> = self.owned.iter().flat_map(|topic| topic.partitions.clone()).collect();
        partitions.sort_unstable();
        partitions
    }

    pub fn leave(self, client: &mut Client) {
        let response = client.call(HEARTBEAT, &going_on(&self.group, &self.id, -1));
        assert_eq!((response.error_code, response.member_epoch), (NONE, -1));
    }
}

/// Lets members send heartbeats until each has so many partitions.
pub fn settle(client: &mut Client, members: &mut [&mut Member], counts: &[usize]) {
    poll("a stable group", Duration::from_secs(30), || {
        for member in members.iter_mut() {
            member.beat(client);
        }
        let has = members.iter().map(|member| member.partitions().len());
        has.eq(counts.iter().copied()).then_some(())
    });
}

pub fn describe(client: &mut Client, group: &str) -> DescribedGroup {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![group.to_owned()],
        include_authorized_operations: true,
    };
    let response = client.call(DESCRIBE, &request);
    response.groups.into_iter().next().unwrap()
}
