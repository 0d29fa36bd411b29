//! The table of configuration properties, and what is read by it.
