//! The machine's body, over the real kernel.

mod core;
mod net;
