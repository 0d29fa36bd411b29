//! What groups have of their own, beside the broker's settings.

use std::sync::Arc;

use crate::base::ids::TopicIdPartition;
use crate::config::OneGroupConfig;
use crate::coordinator::group::consumer::Tuning;
use crate::coordinator::group::{Coordinator, partition_of};
use crate::metadata::{ConfigResource, MetadataImage};
use crate::rt;
use crate::shard::Shard;

use super::Phase;

impl Shard {
    /// Tells the coordinators of this core of groups whose settings have changed.
    pub(in crate::shard) async fn announce_group_configs(&self, old: &MetadataImage, image: &MetadataImage) {
        let changed: Vec<String> = image
            .configs_changed_since(old, ConfigResource::GROUP)
            .into_iter()
            .map(str::to_owned)
            .collect();
        if changed.is_empty() {
            return;
        }
        let rows = self.coordinator_rows();
        for group in changed {
            for row in rows.iter().filter(|row| keeps(image, row.partition, &group)) {
                if let Phase::Serving(coordinator) = &mut *row.phase.borrow_mut() {
                    self.tune(coordinator, image, &group);
                }
            }
            rt::task::yield_if_needed().await;
        }
    }

    /// Tells the coordinators of this core the interval of groups that have none of their own.
    pub(in crate::shard) async fn announce_assignment_interval(&self, image: &MetadataImage) {
        let interval = self.current_config().broker.groups.consumer.assignment_interval;
        for row in self.coordinator_rows() {
            if let Phase::Serving(coordinator) = &mut *row.phase.borrow_mut()
                && coordinator.set_assignment_interval(interval)
            {
                self.tune_all(coordinator, image, row.partition);
            }
            rt::task::yield_if_needed().await;
        }
    }

    /// Tells a coordinator that was read of all its groups that have settings.
    pub(super) fn tune_all(&self, coordinator: &mut Coordinator, image: &MetadataImage, partition: TopicIdPartition) {
        for group in image.configured(ConfigResource::GROUP) {
            if keeps(image, partition, group) {
                self.tune(coordinator, image, group);
            }
        }
    }

    /// Tells a coordinator that knows the settings of `old` what has changed since.
    pub(super) fn tune_changed(
        &self,
        coordinator: &mut Coordinator,
        old: &MetadataImage,
        image: &MetadataImage,
        partition: TopicIdPartition,
    ) {
        for group in image.configs_changed_since(old, ConfigResource::GROUP) {
            if keeps(image, partition, group) {
                self.tune(coordinator, image, group);
            }
        }
    }

    fn tune(&self, coordinator: &mut Coordinator, image: &MetadataImage, group: &str) {
        let overrides = image.config(&ConfigResource::group(group));
        let own = OneGroupConfig::effective(&self.current_config().settings, overrides);
        let tuning = Tuning {
            session_timeout: own.session_timeout,
            assignment_interval: own.assignment_interval,
        };
        coordinator.tune(Arc::from(group), tuning);
    }
}

/// Whether a partition of the offsets topic keeps a group.
fn keeps(image: &MetadataImage, partition: TopicIdPartition, group: &str) -> bool {
    let count = image
        .topic(partition.topic_id)
        .map_or(0, |topic| topic.partitions.len());
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    count > 0 && partition_of(group, count) == partition.partition
}
