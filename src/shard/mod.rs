//! One core: what it owns, the messages between cores, placement, waiting requests.
