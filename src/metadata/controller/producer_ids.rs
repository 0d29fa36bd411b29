//! Blocks of producer ids. Kafka: `ProducerIdControlManager`.

use duramen_wire::messages::metadata::ProducerIdsRecord;

use crate::base::ids::{NodeId, ProducerId};
use crate::metadata::image::MetadataImage;

use super::Decision;

/// Kafka: `ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`.
pub const PRODUCER_IDS_PER_BLOCK: i64 = 1000;

/// Ids that one broker, and nobody else ever, may give to producers: `[first, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdBlock {
    pub first: ProducerId,
    pub end: ProducerId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProducerIdError {
    #[error("broker {0} is not registered")]
    UnknownBroker(i32),
    #[error("broker {id} is registered with epoch {registered}, not {given}")]
    StaleBrokerEpoch { id: i32, registered: i64, given: i64 },
    #[error("all producer ids are used up")]
    Exhausted,
}

/// The next block for a broker.
///
/// # Errors
///
/// The broker is not who it says, or there are no ids left.
pub fn allocate_producer_ids(
    image: &MetadataImage,
    broker: NodeId,
    broker_epoch: i64,
) -> Result<Decision<ProducerIdBlock>, ProducerIdError> {
    let registered = image
        .brokers
        .get(&broker)
        .ok_or(ProducerIdError::UnknownBroker(broker.0))?;
    if registered.epoch != broker_epoch {
        return Err(ProducerIdError::StaleBrokerEpoch {
            id: broker.0,
            registered: registered.epoch,
            given: broker_epoch,
        });
    }
    let first = image.producer_id_next;
    let end = first
        .checked_add(PRODUCER_IDS_PER_BLOCK)
        .ok_or(ProducerIdError::Exhausted)?;
    let record = ProducerIdsRecord {
        broker_id: broker.0,
        broker_epoch,
        next_producer_id: end,
    };
    Ok(Decision {
        records: vec![record.into()],
        response: ProducerIdBlock {
            first: ProducerId(first),
            end: ProducerId(end),
        },
    })
}
