//! The journal, as values: the format of its files and groups, the ring that its files are, and what of it counts after a crash.
//!
//! A journal belongs to one core and one log directory. Whatever that core has to make durable at one moment, in however many
//! partitions, is one *group*: whole blocks, written by one write. Groups fill one file after another; a file whose groups are all
//! covered by syncs of segments is filled again.
//!
//! What tells a group that counts from one that does not:
//! * its checksum: a write that a crash tore is not there;
//! * its *epoch*: each start draws a new one, notes it in the first file's header, and all groups before are void. It is random, so that
//!   no record can be made to look like a group;
//! * its *sequence*: groups count up, and the newest one names the oldest that was still needed, the *tail*.
//!
//! One group is in flight at a time, so a crash tears the last one alone: a sequence that is missing between others is damage.

pub mod format;
pub mod ring;
pub mod survey;
