//! What every request can reach: its core, the configuration, the listener it came by.

use std::rc::Rc;
use std::sync::Arc;

use crate::config::{Config, Endpoint};
use crate::kafka::fetch_sessions::FetchSessions;
use crate::metadata::MetadataImage;
use crate::shard::Shard;

/// One listener of one core.
pub struct Context {
    pub shard: Rc<Shard>,
    pub config: Arc<Config>,
    /// Name of the listener: clients are told addresses of the same name.
    pub listener: String,
    /// Where clients of this listener reach this broker.
    pub advertised: Endpoint,
    /// Of all listeners of the core.
    pub fetch_sessions: Rc<FetchSessions>,
}

impl Context {
    /// The metadata as this core sees it.
    #[must_use]
    pub fn image(&self) -> Arc<MetadataImage> {
        self.shard.image()
    }
}
