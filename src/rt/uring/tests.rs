//! The machine's body, over the real kernel.

mod core;
mod file;
mod flow;
mod net;
