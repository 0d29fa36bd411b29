//! What every request can reach: its core, the configuration, the listener it came by.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::ids::ShardId;
use crate::config::Config;
use crate::kafka::fetch_sessions::FetchSessions;
use crate::kafka::nodes::Nodes;
use crate::metadata::MetadataImage;
use crate::shard::Shard;

/// One listener of one core.
pub struct Context {
    pub shard: Rc<Shard>,
    /// Of the start: for what does not change while the broker runs.
    pub config: Arc<Config>,
    /// Name of the listener: clients are told addresses of the same name.
    pub listener: String,
    /// Whom clients of this listener are told of.
    pub nodes: Nodes,
    /// The core as which this broker is spoken to: its answers about what it keeps are those of that core alone.
    pub direct_core: Option<ShardId>,
    /// Of all listeners of the core.
    pub fetch_sessions: Rc<FetchSessions>,
}

impl Context {
    /// The metadata as this core sees it.
    #[must_use]
    pub fn image(&self) -> Arc<MetadataImage> {
        self.shard.image()
    }

    /// The configuration as it is now.
    #[must_use]
    pub fn current_config(&self) -> Arc<Config> {
        self.shard.current_config()
    }
}
