//! Transactions.

use super::properties;

properties! {
    Broker;

    "add.partitions.to.txn.retry.backoff.max.ms", Int, "100", AtLeast(0), Start, Later;
    "add.partitions.to.txn.retry.backoff.ms", Int, "20", AtLeast(1), Start, Later;
    "transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, "10000", AtLeast(1), Start, Later;
    "transaction.max.timeout.ms", Int, "900000", AtLeast(1), Start, Later:
        "longest transaction that a producer may ask for";
    "transaction.partition.verification.enable", Bool, "true", Any, Cluster, Later;
    "transaction.remove.expired.transaction.cleanup.interval.ms", Int, "3600000", AtLeast(1), Start, Later;
    "transaction.state.log.load.buffer.size", Int, "5242880", AtLeast(1), Start, Later;
    "transaction.state.log.min.isr", Int, "2", AtLeast(1), Start, Later;
    "transaction.state.log.num.partitions", Int, "50", AtLeast(1), Start, Later;
    "transaction.state.log.replication.factor", Short, "3", AtLeast(1), Start, Later;
    "transaction.state.log.segment.bytes", Int, "104857600", AtLeast(1), Start, Later;
    "transaction.two.phase.commit.enable", Bool, "false", Any, Start, Later;
    "transactional.id.expiration.ms", Int, "604800000", AtLeast(1), Start, Later:
        "a transactional id unused for so long is forgotten";
}
