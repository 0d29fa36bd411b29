//! Speaks the Kafka protocol: sessions, the router, one handler for each API.
