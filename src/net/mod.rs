//! Listeners, connections, framing, answers in order. Knows no Kafka.
