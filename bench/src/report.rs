//! Results: what a run has shown, and how it is told.
//!
//! Owns the form of results: lines of JSON, tables, one HTML page. Measures nothing.

pub mod compare;
pub mod html;
pub mod machine;
pub mod result;
mod svg;
pub mod table;
pub mod versus;
