//! Kafka's protocol, as pure code.
