//! What the fuzz targets have in common.
//!
//! The pure layers are compiled from their files, as modules of this crate: so a target needs neither the runtime nor its
//! dependencies, and is built in a fraction of the time.

#[path = "../../src/base/mod.rs"]
pub mod base;
#[path = "../../src/net/frame.rs"]
pub mod frame;
#[path = "../../src/config/java_properties.rs"]
pub mod java_properties;
#[path = "../../src/log/mod.rs"]
pub mod log;
#[path = "../../src/metadata/record.rs"]
pub mod metadata_record;
#[path = "../../src/record/mod.rs"]
pub mod record;

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Runs `decode`, which may hold at most `bytes_max` bytes of memory at any time beyond what is held now.
pub fn bounded<T>(bytes_max: usize, decode: impl FnOnce() -> T) -> T {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let decoded = decode();
    let taken = ALLOCATOR.peak_usage().saturating_sub(before);
    assert!(taken <= bytes_max, "{taken} bytes were held, {bytes_max} are allowed");
    decoded
}
