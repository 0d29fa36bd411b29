//! Record batches, format v2: what a batch is, whether it is valid, what is in it.
