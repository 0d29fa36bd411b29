//! Moves recovery points on, so that a start after a crash has a bounded part of the logs to look at; closes files that nobody uses.

use std::rc::Rc;
use std::time::Duration;

use crate::base::limits::{RECOVERY_BYTES_PER_CORE, RECOVERY_BYTES_PER_PARTITION_MIN};
use crate::rt;
use crate::shard::Shard;

/// How often the partitions are looked through.
const INTERVAL: Duration = Duration::from_secs(1);
/// Every so many times, files that were not used since are closed.
const IDLE_INTERVALS: u64 = 30;

impl Shard {
    /// Checkpoints each log that has much to recover, one after the other, for ever.
    pub async fn checkpoint_logs(self: Rc<Self>) {
        for interval in 1_u64.. {
            rt::time::sleep(INTERVAL).await;
            let hosted: Vec<_> = self.hosted.borrow().values().cloned().collect();
            let bytes_max = bytes_to_recover_max(hosted.len());
            for partition in hosted {
                let log = partition.log();
                if interval % IDLE_INTERVALS == 0 {
                    log.release_idle_files();
                }
                if log.bytes_to_recover() <= bytes_max {
                    rt::task::yield_if_needed().await;
                    continue;
                }
                match log.checkpoint().await {
                    Ok(_) => log.remove_old_snapshots().await,
                    // The failure itself was told, once.
                    Err(error) => tracing::debug!(partition = %partition.name(), %error, "no checkpoint"),
                }
                rt::task::yield_if_needed().await;
            }
        }
    }
}

/// Bytes that one of so many partitions may have to recover, so that all of them are bounded.
fn bytes_to_recover_max(partitions: usize) -> u64 {
    let share = RECOVERY_BYTES_PER_CORE / u64::try_from(partitions.max(1)).unwrap_or(u64::MAX);
    share.max(RECOVERY_BYTES_PER_PARTITION_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_to_recover_are_shared() {
        assert_eq!(bytes_to_recover_max(0), RECOVERY_BYTES_PER_CORE);
        assert_eq!(bytes_to_recover_max(4), RECOVERY_BYTES_PER_CORE / 4);
        assert_eq!(bytes_to_recover_max(1_000_000), RECOVERY_BYTES_PER_PARTITION_MIN);
    }
}
