//! The topics of the cluster, as groups see them.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::ids::TopicId;
use crate::coordinator::group::consumer::Catalogue;
use crate::coordinator::group::consumer::assign::Topic;
use crate::metadata::MetadataImage;
use crate::shard::Shard;

use super::Phase;

/// One image of the cluster.
#[derive(Debug)]
pub(super) struct Topics(pub(super) Arc<MetadataImage>);

impl Catalogue for Topics {
    fn topic(&self, name: &str) -> Option<Topic> {
        let topic = self.0.topic_by_name(name)?;
        Some(Topic {
            id: topic.id,
            partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        })
    }

    fn name(&self, id: TopicId) -> Option<&str> {
        Some(&self.0.topic(id)?.name)
    }

    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.0.topics().map(|topic| &*topic.name))
    }

    fn count(&self) -> usize {
        self.0.topic_count()
    }
}

impl Shard {
    /// Tells the coordinators of this core of topics that have come, gone or grown.
    pub(in crate::shard) fn announce_topics(self: &Rc<Self>, image: &Arc<MetadataImage>) {
        for row in self.coordinator_rows() {
            if let Phase::Serving(coordinator) = &mut *row.phase.borrow_mut() {
                coordinator.on_topics(Box::new(Topics(Arc::clone(image))));
            }
            self.set_to_work(&row);
        }
    }
}
