//! Settings of the broker that change while it runs, from the metadata to what they govern.

use std::sync::Arc;

use crate::config::{Changes, Config};
use crate::metadata::{ConfigResource, MetadataImage};
use crate::shard::{CONTROLLER, Shard};

impl Shard {
    /// Takes over what `next` says of brokers where `old` says something else, and tells whether it does.
    pub(super) fn take_broker_configs(&self, old: &MetadataImage, next: &MetadataImage) -> bool {
        if next.configs_changed_since(old, ConfigResource::BROKER).is_empty() {
            return false;
        }
        let changes = changes(&self.config, next);
        let config = match self.config.with_changes(changes) {
            Ok(config) => Arc::new(config),
            Err(error) => {
                // The controller checked them; a directory from elsewhere may hold settings that this broker refuses.
                tracing::error!(%error, "settings of the broker cannot be used together; those of the start are");
                Arc::clone(&self.config)
            }
        };
        if self.id == CONTROLLER {
            tell(&config);
        }
        self.changed_config.replace(config);
        true
    }
}

fn changes(config: &Config, image: &MetadataImage) -> Changes {
    let own = ConfigResource::broker(config.broker.node_id);
    Changes::new(image.config(&ConfigResource::every_broker()), image.config(&own))
}

/// Tells the person who looks at the log what is set now.
fn tell(config: &Config) {
    let changes = config.settings.changes();
    tracing::info!(settings = %changes, "settings of the broker that were given while it ran");
    let idle = changes.without_effect();
    if !idle.is_empty() {
        tracing::info!(keys = idle.join(", "), "some of them are kept and have no effect here");
    }
}
