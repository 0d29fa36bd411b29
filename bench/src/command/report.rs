//! `report`: the page of results that were kept.

use std::path::PathBuf;

use crate::failure::{Context, Result};
use crate::report::html::page;
use crate::report::result::read;

#[derive(clap::Args)]
pub struct Arguments {
    /// Files of raw results; together they make one page.
    #[arg(required = true)]
    results: Vec<PathBuf>,
    /// The page.
    #[arg(long, default_value = "race.html")]
    html: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let mut all = Vec::new();
    for path in &arguments.results {
        all.extend(read(path)?);
    }
    std::fs::write(&arguments.html, page(all)).context(|| arguments.html.display().to_string())
}
