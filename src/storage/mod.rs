//! Executes the plans of `log` on files.
