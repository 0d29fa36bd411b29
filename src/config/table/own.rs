//! Duramen's own keys. They are few, and named like Kafka's.

use super::properties;

properties! {
    Broker;

    "core.count", Int, null, Within(1, 256), Start, Used:
        "threads, one pinned to each CPU; by default as many as the CPUs that this process may use";
}
