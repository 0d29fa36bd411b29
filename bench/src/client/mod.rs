//! A lean client: what it costs is what it takes to move bytes and to match answers with requests.
//!
//! Owns connections, frames and versions. Knows nothing of measuring.
//!
//! | file | holds |
//! |---|---|
//! | `control` | one blocking connection: versions, topics, offsets, producer ids |
//! | `connection` | one non-blocking connection: pieces that wait to be sent, frames that have come |
//! | `net` | the connections of one thread behind one epoll |
//! | `request` | requests that are prepared once: produce, fetch |

mod connection;
mod control;
mod net;
mod request;

pub use connection::Connection;
pub use control::{Control, Leaders, Place, TopicHandle, Versions, decode_response, frame};
pub use net::{Net, Wait};
pub use request::{FetchRequests, ProduceRequests, Slot};
