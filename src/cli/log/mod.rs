//! `duramen log`: looks into the files of a log, and repairs them, without a broker.
//!
//! Must not decide what is right: `dump` shows, `verify` compares, `recover` does what a start of the broker does.

mod dump;
mod recover;
mod row;
mod target;
mod verify;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::{EXIT_FAILURE, fail};
use dump::{Depth, dump};
use recover::Outcome;
use row::{Row, Style};
use target::Target;
use verify::{Fault, verify};

/// The commands.
#[derive(Subcommand)]
pub enum LogCommand {
    /// Show what stands in a file, a partition or a whole data directory.
    ///
    /// Knows segments, both indexes, producer snapshots, leader epochs, checkpoints, metadata snapshots; the records of the metadata log are
    /// decoded. The broker may run meanwhile: what it is just writing may then look torn. Ends with 1 when something cannot be read as
    /// what its name says.
    Dump {
        /// A file, the directory of a partition (TOPIC-0), or a data directory (log.dirs).
        path: PathBuf,
        /// Show the records of each batch too.
        #[arg(long)]
        records: bool,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Look for what is wrong, without changing anything.
    ///
    /// Checks by a reader of its own: every batch (checksum, lengths, offsets, records), index entries against the batches that they point
    /// to, timestamps, leader epochs, producer snapshots, checkpoints. Each fault is one line with file, position and offset; ends with 1
    /// when there is one. The broker should be stopped: what it is just writing looks torn.
    Verify {
        /// A file, the directory of a partition (TOPIC-0), or a data directory (log.dirs).
        path: PathBuf,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Repair a stopped broker's partition or data directory, as its next start would.
    ///
    /// After a crash the journal is replayed and the end of a log that was half written is cut off; indexes, snapshots and leader epochs
    /// that are missing or torn are made anew. What was on the disk is never cut: damage there is told, and left. Refuses while a broker uses
    /// the directory. Ends with 1 when a partition stays damaged.
    Recover {
        /// The directory of a partition (TOPIC-0), or a data directory (log.dirs).
        path: PathBuf,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Does what the person asked for.
pub fn run(command: &LogCommand) -> ExitCode {
    let done = match command {
        LogCommand::Dump { path, records, json } => {
            let depth = if *records { Depth::Records } else { Depth::Batches };
            print(|out| run_dump(path, depth, style(*json), out))
        }
        LogCommand::Verify { path, json } => print(|out| run_verify(path, style(*json), out)),
        LogCommand::Recover { path, dry_run } => print(|out| run_recover(path, *dry_run, out)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => EXIT_FAILURE.into(),
        Err(error) => fail(&*error, EXIT_FAILURE),
    }
}

type Failure = Box<dyn std::error::Error>;

fn style(json: bool) -> Style {
    if json { Style::Json } else { Style::Plain }
}

/// Runs a command that writes to standard output. A reader that leaves early, such as `head`, ends it without an error.
fn print(command: impl FnOnce(&mut dyn Write) -> Result<bool, Failure>) -> Result<bool, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = command(&mut out).and_then(|is_right| Ok(out.flush().map(|()| is_right)?));
    match done {
        Err(error) if is_closed_pipe(&*error) => Ok(true),
        done => done,
    }
}

fn is_closed_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A path that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", .path.display())]
struct Unusable {
    path: PathBuf,
    source: io::Error,
}

fn find(path: &Path) -> Result<Target, Unusable> {
    Target::find(path).map_err(|source| Unusable {
        path: path.to_owned(),
        source,
    })
}

/// The error of a file that cannot be read; one of the output is not of any file.
fn at(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    move |source| {
        if source.kind() == io::ErrorKind::BrokenPipe {
            return source.into();
        }
        let path = path.to_owned();
        Unusable { path, source }.into()
    }
}

fn run_dump(path: &Path, depth: Depth, style: Style, out: &mut dyn Write) -> Result<bool, Failure> {
    let mut is_whole = true;
    for part in find(path)?.parts() {
        let mut show = |row: &Row| writeln!(out, "{}", row.show(style));
        is_whole &= dump(&part, depth, &mut show).map_err(at(&part.path))?;
    }
    Ok(is_whole)
}

fn run_verify(path: &Path, style: Style, out: &mut dyn Write) -> Result<bool, Failure> {
    let (mut files, mut batches, mut bytes, mut faults) = (0, 0, 0, 0);
    for part in find(path)?.parts() {
        let findings = verify(&part).map_err(at(&part.path))?;
        for fault in &findings.faults {
            match style {
                Style::Plain => writeln!(out, "{fault}")?,
                Style::Json => writeln!(out, "{}", fault_row(fault).show(style))?,
            }
        }
        files += findings.files;
        batches += findings.batches;
        bytes += findings.bytes;
        faults += findings.faults.len();
    }
    match style {
        Style::Plain => writeln!(
            out,
            "{files} files, {batches} batches, {bytes} bytes of batches: {faults} faults"
        )?,
        Style::Json => {
            let row = Row::new("summary", 0).number("files", files.cast_signed());
            let row = row
                .number("batches", batches.cast_signed())
                .number("bytes", bytes.cast_signed());
            let faults = i64::try_from(faults).unwrap_or(i64::MAX);
            writeln!(out, "{}", row.number("faults", faults).show(style))?;
        }
    }
    Ok(faults == 0)
}

fn fault_row(fault: &Fault) -> Row {
    let mut row = Row::new("fault", 0).text("file", fault.file.display().to_string());
    if let Some(position) = fault.position {
        row = row.number("position", position.cast_signed());
    }
    if let Some(offset) = fault.offset {
        row = row.number("offset", offset);
    }
    row.text("what", fault.what.clone())
}

fn run_recover(path: &Path, dry_run: bool, out: &mut dyn Write) -> Result<bool, Failure> {
    let target = find(path)?;
    let outcomes = if dry_run {
        recover::foresee(&target)?
    } else {
        recover::recover(&target)?
    };
    for Outcome { partition, lines, .. } in &outcomes {
        match lines.as_slice() {
            [] => writeln!(out, "{partition}: nothing to do")?,
            lines => {
                writeln!(out, "{partition}:")?;
                for line in lines {
                    writeln!(out, "  {line}")?;
                }
            }
        }
    }
    Ok(outcomes.iter().all(|outcome| outcome.is_whole))
}
