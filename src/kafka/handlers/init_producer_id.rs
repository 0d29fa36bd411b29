//! InitProducerId (22): an id for an idempotent producer. Transactional producers are refused: there are no transactions.

use std::ops::Range;

use duramen_wire::messages::init_producer_id_request::InitProducerIdRequest;
use duramen_wire::messages::init_producer_id_response::InitProducerIdResponse;

use crate::base::ids::ProducerId;
use crate::kafka::call::{BadRequest, Call};
use crate::kafka::errors::ErrorCode;
use crate::kafka::gather::Gather;
use crate::shard::CONTROLLER;
use crate::shard::controller::{ControllerReply, ControllerRequest};
use crate::shard::message::{ShardReply, ShardRequest};

/// Answers the request, after a block of ids has come from the controller where this core has none left.
///
/// # Errors
/// The request cannot be decoded.
pub fn handle(call: Call) -> Result<(), BadRequest> {
    let request: InitProducerIdRequest = call.decode()?;
    if let Some(id) = &request.transactional_id {
        // Kafka's code for a transactional id that no coordinator of this cluster serves.
        let code = if id.is_empty() {
            ErrorCode::INVALID_REQUEST
        } else {
            ErrorCode::COORDINATOR_NOT_AVAILABLE
        };
        refuse(call, code);
        return Ok(());
    }
    if let Some(id) = call.context.shard.take_producer_id() {
        respond(call, id);
        return Ok(());
    }
    let asked = [(
        CONTROLLER,
        ShardRequest::Controller(ControllerRequest::AllocateProducerIds),
    )];
    Gather::start(call, None, asked, absorb, |call, block: Option<Range<i64>>| {
        let shard = &call.context.shard;
        if let Some(block) = block {
            shard.add_producer_ids(block);
        }
        match shard.take_producer_id() {
            Some(id) => respond(call, id),
            None => refuse(call, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    });
    Ok(())
}

fn absorb(block: &mut Option<Range<i64>>, reply: ShardReply) {
    if let ShardReply::Controller(ControllerReply::ProducerIds(Ok(allocated))) = reply {
        *block = Some(allocated);
    }
}

/// A new producer begins with epoch 0, whatever id and epoch it had before: its sequences begin at 0 too.
fn respond(call: Call, id: ProducerId) {
    call.respond(&InitProducerIdResponse {
        producer_id: id.0,
        producer_epoch: 0,
        ..InitProducerIdResponse::default()
    });
}

fn refuse(call: Call, code: ErrorCode) {
    call.respond(&InitProducerIdResponse {
        error_code: code.0,
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdResponse::default()
    });
}
