//! TCP through the ring: listeners with multishot accept, streams with multishot receive in the core's buffers, sends that own what
//! they send, files by sendfile.

mod listener;
mod receive;
mod send;
mod sendfile;
mod socket;
mod stream;

pub use super::buffers::Received;
pub use listener::{Listener, claim};
pub use send::SendPart;
pub use stream::Stream;
