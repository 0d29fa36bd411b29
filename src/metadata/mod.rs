//! Metadata records, the immutable image, the embedded controller: pure.
