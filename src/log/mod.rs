//! What the log of a partition is, as pure decisions: offsets, segments, indexes, plans.
