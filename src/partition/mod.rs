//! One hosted replica: log, storage and watermarks under one owner.
