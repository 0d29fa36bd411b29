//! zstd: one or more frames are read, one is written.

use std::cell::Cell;
use std::io;
use std::ops::Range;

use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, ErrorCode, InBuffer, OutBuffer, ResetDirective, get_error_name,
};

use super::super::error::RecordFault;
use super::{CHUNK_BYTES, room, take_slice};

/// Largest window, 128 MiB, as Kafka's reader has it: the highest levels of compression write such windows for the smallest
/// batches. Of the window only what is expanded takes memory.
const WINDOW_LOG_MAX: u32 = 27;

/// The decoder, made when it is first needed and then used for every batch.
#[derive(Default)]
pub(super) struct Context(Option<DCtx<'static>>);

impl Context {
    pub(super) fn held_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |context| context.sizeof())
    }

    /// Lets go of a decoder whose window has become larger than this.
    pub(super) fn trim(&mut self, bytes_max: usize) {
        if self.held_bytes() > bytes_max {
            self.0 = None;
        }
    }

    fn restarted(&mut self) -> Result<(), RecordFault> {
        match &mut self.0 {
            Some(context) => context.reset(ResetDirective::SessionOnly),
            None => {
                let mut context = DCtx::try_create().ok_or(RecordFault::Compressed)?;
                let set = context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX));
                self.0 = Some(context);
                set
            }
        }
        .map(|_| ())
        .map_err(|_| RecordFault::Compressed)
    }
}

/// Before the first frame, between two frames, or inside of one.
#[derive(Default)]
pub(super) enum Position {
    #[default]
    Start,
    Between,
    Inside,
}

impl Position {
    pub(super) fn next_chunk(
        &mut self,
        input: &mut &[u8],
        context: &mut Context,
        buffer: &mut Vec<u8>,
    ) -> Result<Range<usize>, RecordFault> {
        if matches!(self, Self::Start) {
            context.restarted()?;
            *self = Self::Between;
        }
        let decoder = context.0.as_mut().ok_or(RecordFault::Compressed)?;
        loop {
            if matches!(self, Self::Between) && input.is_empty() {
                return Ok(0..0);
            }
            let mut output = OutBuffer::around(room(buffer, CHUNK_BYTES));
            let mut compressed = InBuffer::around(input);
            let wanted = decoder
                .decompress_stream(&mut output, &mut compressed)
                .map_err(|_| RecordFault::Compressed)?;
            let (written, read) = (output.pos(), compressed.pos());
            take_slice(input, read)?;
            *self = if wanted == 0 { Self::Between } else { Self::Inside };
            if written > 0 {
                return Ok(0..written);
            }
            // The data ends within a frame.
            if read == 0 {
                return Err(RecordFault::Compressed);
            }
        }
    }
}

/// Bytes of an encoder's context that are kept between two batches: enough for level 6.
const KEPT_ENCODER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes that the output grows by.
const OUTPUT_STEP_BYTES: usize = 8 * 1024;

thread_local! {
    /// An encoder that is not in use. A new one takes fresh memory and clears it, which for a short batch is most of the work.
    static SPARE: Cell<Option<CCtx<'static>>> = const { Cell::new(None) };
}

/// Writes one frame behind what its output has.
pub(in crate::record) struct Writer {
    /// `None` only while it is dropped.
    context: Option<CCtx<'static>>,
    output: Vec<u8>,
}

impl Writer {
    pub(super) fn new(level: i32, output: Vec<u8>) -> io::Result<Self> {
        let context = SPARE.take().or_else(CCtx::try_create);
        let mut context = context.ok_or(io::ErrorKind::OutOfMemory)?;
        context.reset(ResetDirective::SessionAndParameters).map_err(told)?;
        let set = context.set_parameter(CParameter::CompressionLevel(level));
        let writer = Self {
            context: Some(context),
            output,
        };
        set.map_err(told)?;
        Ok(writer)
    }

    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }

    pub(super) fn write(&mut self, records: &[u8]) -> io::Result<()> {
        self.run(records, ZSTD_EndDirective::ZSTD_e_continue)
    }

    /// Ends the block that was begun.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.run(&[], ZSTD_EndDirective::ZSTD_e_flush)
    }

    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        self.run(&[], ZSTD_EndDirective::ZSTD_e_end)?;
        Ok(std::mem::take(&mut self.output))
    }

    fn run(&mut self, records: &[u8], how: ZSTD_EndDirective) -> io::Result<()> {
        let context = self.context.as_mut().ok_or(io::ErrorKind::Other)?;
        let mut input = InBuffer::around(records);
        loop {
            self.output.reserve(OUTPUT_STEP_BYTES);
            let end = self.output.len();
            let mut output = OutBuffer::around_pos(&mut self.output, end);
            let left = context.compress_stream2(&mut output, &mut input, how).map_err(told)?;
            let is_continued = how == ZSTD_EndDirective::ZSTD_e_continue;
            if input.pos() == records.len() && (is_continued || left == 0) {
                return Ok(());
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let context = self.context.take();
        let kept = context.filter(|context| context.sizeof() <= KEPT_ENCODER_BYTES_MAX);
        // Where the thread ends, nothing is kept.
        let _ = SPARE.try_with(|spare| spare.set(kept));
    }
}

fn told(code: ErrorCode) -> io::Error {
    io::Error::other(get_error_name(code))
}
