//! zstd: one or more frames.

use std::ops::Range;

use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

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
