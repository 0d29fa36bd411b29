//! The commands: what was asked for becomes plans, and results become lines, tables and pages.

pub mod groups;
mod options;
pub mod oracle;
pub mod race;
pub mod raw;
pub mod report;
pub mod run;
