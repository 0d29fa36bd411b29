//! One connection that speaks Kafka's protocol: reads requests, hands them to the router, closes on what Kafka closes on.

use std::rc::Rc;

use crate::base::limits::REQUESTS_IN_FLIGHT_MAX;
use crate::kafka::call::Peer;
use crate::kafka::context::Context;
use crate::kafka::router;
use crate::net::admission::MemoryUnits;
use crate::net::connection::{ConnectionError, RequestReader, write_replies};
use crate::net::frame::FrameLimits;
use crate::net::listener::Accepted;
use crate::net::replies::Replies;
use crate::rt;

/// Bytes of the shortest request: key, version, correlation id.
const REQUEST_BYTES_MIN: usize = 8;

/// Serves a connection until either side ends it.
pub async fn serve(context: Rc<Context>, memory: MemoryUnits, accepted: Accepted) {
    let limits = FrameLimits {
        bytes_min: REQUEST_BYTES_MIN,
        bytes_max: usize::try_from(context.config.broker.sockets.request_bytes_max).unwrap_or(usize::MAX),
    };
    let address = accepted.stream.peer_address().ok();
    let peer = address.map_or_else(|| "a peer that has gone".to_owned(), |peer| peer.to_string());
    let mut reader = RequestReader::new(accepted.stream.clone(), limits, memory, Rc::clone(&accepted.activity));
    let replies = Replies::new();
    let writer = write_replies(accepted.stream.clone(), replies.clone(), Rc::clone(&accepted.activity));
    let (stream, writing_to) = (accepted.stream.clone(), peer.clone());
    rt::task::spawn(async move {
        if let Err(error) = writer.await {
            tracing::debug!(peer = writing_to, %error, "answers could not be sent");
        }
        // Whatever ended the answers ends the connection, and with it the reader.
        stream.close();
        drop(accepted);
    });
    let from = Peer {
        source: context.shard.new_source(),
        address,
    };
    if let Err(error) = read_requests(&context, from, &mut reader, &replies).await {
        tracing::debug!(peer, %error, "connection closed");
    }
    replies.close();
}

async fn read_requests(
    context: &Rc<Context>,
    peer: Peer,
    reader: &mut RequestReader,
    replies: &Replies,
) -> Result<(), ConnectionError> {
    loop {
        replies.below(REQUESTS_IN_FLIGHT_MAX).await;
        let Some(frame) = reader.next().await? else {
            return Ok(());
        };
        let slot = replies.reserve();
        router::dispatch(Rc::clone(context), peer, frame, slot);
        // Many requests may have come in one piece.
        rt::task::yield_if_needed().await;
    }
}
