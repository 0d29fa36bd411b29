//! Every bound of the broker that is not a configuration key, with the relations between them.
//!
//! Whatever grows has its limit here.

use std::time::Duration;

/// Cores of one process; a [`ShardId`](super::ids::ShardId) is a `u16`, and the mesh has a queue for each pair.
pub const CORES_MAX: usize = 256;

/// With `core.direct`, the broker id of a core is that of its node and so much more for each core before it.
pub const CORE_ID_STEP: i32 = 10_000;

/// Messages waiting in one direction between two cores. A full queue is answered, never awaited.
pub const MESH_QUEUE_MESSAGES_MAX: usize = 1024;

/// So many sixteenths of the descriptors that a process may have are for clients.
pub const DESCRIPTORS_OF_CLIENTS: u64 = 10;

/// So many sixteenths are for the files of logs. One is kept for what is open for a moment: new files, directories, compactions.
pub const DESCRIPTORS_OF_LOGS: u64 = 5;

/// Bytes of one slice of a sendfile before other connections have their turn: as many of them as take a part of a step.
pub const SENDFILE_SLICE_BYTES_MIN: usize = 64 * 1024;
pub const SENDFILE_SLICE_BYTES_MAX: usize = 256 * 1024;

/// Reads of at most this many bytes are copied, larger ones leave by sendfile (measured crossover: 16 to 32 KiB).
pub const FETCH_COPY_BYTES_MAX: u32 = 32 * 1024;

/// Bytes of all provided receive buffers of a core; near the size of an L2 cache, or bulk receives become slow.
pub const RECEIVE_BUFFERS_BYTES: usize = 2 * 1024 * 1024;

/// Batches remembered for each producer of a partition, so that repeats are known (Kafka: `ProducerStateEntry`).
pub const PRODUCER_BATCHES_RETAINED: usize = 5;

/// Bytes of a topic name (Kafka: `Topic.MAX_NAME_LENGTH`).
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Bytes of a regular expression of a consumer group, and how deep it may be nested.
pub const REGEX_BYTES_MAX: usize = 8 * 1024;
pub const REGEX_DEPTH_MAX: usize = 50;

/// Characters that take as long to compile as the expression, repetitions counted out: what is compiled in one step, of less than a
/// millisecond, and all alternatives of the whole together, which may take several.
pub const REGEX_COST_MAX: usize = 2048;
pub const REGEX_COST_OF_ALL_MAX: usize = 4 * REGEX_COST_MAX;

/// Requests of one connection that are read and not answered; then its socket is not read.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 128;

/// Bytes of requests and of their answers that a core holds; then sockets are not read.
pub const REQUEST_MEMORY_BYTES_PER_CORE: usize = 256 * 1024 * 1024;

/// Longer requests wait apart from others for memory: a batch of the largest default size goes with room.
pub const SMALL_REQUEST_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Answers of one connection are joined to one send until they have this many bytes.
pub const REPLY_BYTES_PER_SEND_MAX: u64 = 256 * 1024;

/// Partitions that one request may create (Kafka: `ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`).
pub const PARTITIONS_PER_REQUEST_MAX: u32 = 10_000;

/// Metadata records that one request may add: they are one batch (Kafka: `QuorumController.MAX_RECORDS_PER_USER_OP`).
pub const METADATA_RECORDS_PER_REQUEST_MAX: usize = 10_000;

/// Keys that may be set for a broker while it runs: among them, as in Kafka, may be such as nobody knows.
pub const BROKER_KEYS_MAX: usize = 1000;

/// Bytes of such a key, or of its value: what a text of every version of the protocol can have.
pub const BROKER_SETTING_BYTES_MAX: usize = 32_767;

/// Bytes of records that a compressed batch may expand to: 128 times the largest batch of a topic with default settings. Kafka has
/// no bound, and a frame of the largest size can hide a thousand of it.
pub const BATCH_EXPANDED_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// The longest step of a task: then others of its core have their turn.
pub const STEP_MAX: Duration = Duration::from_micros(500);

/// Kinds of steps that were too long, of one core; the worst are remembered.
pub const STALL_KINDS_MAX: usize = 32;

/// Bytes of records that are checked before other tasks of the core have their turn; gzip expands them in less than 300 us.
pub const VALIDATION_STEP_BYTES: usize = 64 * 1024;

/// Bytes of records that are compressed before the clock is looked at; gzip takes 50 us for them, and 350 us where it has to search long.
pub const RECOMPRESSION_STEP_BYTES: usize = 2 * 1024;

/// Partitions that the fetch sessions of a core remember, some 300 bytes each; a client beyond them names all in each request.
pub const FETCH_SESSION_PARTITIONS_PER_CORE: usize = 200_000;

/// Cold pages that one read waits for before its core waits with it.
pub const COLD_WAITS_PER_READ_MAX: usize = 64;

/// Batches that a core checks in steps at one time, each with a decompressor of its own.
pub const BATCHES_IN_STEPS_MAX: usize = 8;

/// Rows of an answer, such as partitions or settings, that are made in one step, each taking a microsecond.
pub const ANSWER_ROWS_AT_ONCE_MAX: usize = 200;

/// Groups that a coordinator describes in one step, each maybe with a thousand members.
pub const GROUPS_ASKED_AT_ONCE_MAX: usize = 4;

/// Requests that one handler makes of other cores, or of its own, in one step; more have their turns.
pub const REQUESTS_AT_ONCE_MAX: usize = 16;

/// Requests that one event answers in the step in which it comes; more have their turns.
pub const ANSWERS_AT_ONCE_MAX: usize = 16;

/// Bytes of a batch that are written into the page cache in one step, about: 30 us, and 350 us where a host has to give the memory first.
pub const APPEND_STEP_BYTES: usize = 128 * 1024;

/// Fewest and most bytes of a block of a codec, which is compressed in one go, and how long that may take.
pub const CODEC_BLOCK_BYTES_MIN: usize = 8 * 1024;
pub const CODEC_BLOCK_BYTES_MAX: usize = 64 * 1024;
pub const CODEC_BLOCK_STEP: Duration = Duration::from_micros(250);

const _: () = assert!(CODEC_BLOCK_STEP.as_micros() * 2 <= STEP_MAX.as_micros());

/// Bytes of a batch whose checksum is computed in one step.
pub const CHECKSUM_STEP_BYTES: usize = 256 * 1024;

/// Bytes that a log keeps of what was appended until the journal wants them; longer ones are as cheap to read back.
pub const KEPT_BYTES_PER_LOG_MAX: usize = 16 * 1024;

/// The same of all logs of a journal.
pub const KEPT_BYTES_PER_JOURNAL_MAX: usize = 4 * 1024 * 1024;

/// Bytes of logs that a core has to look at after a crash: beyond them, logs are checkpointed. About 0.2 s of a cold NVMe drive.
pub const RECOVERY_BYTES_PER_CORE: u64 = 256 * 1024 * 1024;

/// A log with less to recover is not checkpointed: it would cost more than it spares.
pub const RECOVERY_BYTES_PER_PARTITION_MIN: u64 = 1024 * 1024;

/// Member ids of one group that were given out and have not joined: each ends after its session.
pub const PENDING_MEMBERS_PER_GROUP_MAX: usize = 10_000;

const _: () = assert!(SMALL_REQUEST_BYTES_MAX < REQUEST_MEMORY_BYTES_PER_CORE / 4);
const _: () = assert!((FETCH_COPY_BYTES_MAX as usize) < SENDFILE_SLICE_BYTES_MIN);
const _: () = assert!(DESCRIPTORS_OF_CLIENTS + DESCRIPTORS_OF_LOGS < 16);
const _: () = assert!(CORES_MAX <= u16::MAX as usize);
const _: () = assert!(MESH_QUEUE_MESSAGES_MAX.is_power_of_two());
const _: () = assert!((VALIDATION_STEP_BYTES as u64) < BATCH_EXPANDED_BYTES_MAX);
