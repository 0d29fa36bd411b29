//! How much a recovery would have to look at.

use std::time::Duration;

use super::*;
use crate::rt::time::sleep;

#[test]
fn what_a_rolled_segment_holds_is_not_counted_once_it_is_on_the_disk() {
    on_core(async |path| {
        let directory = open_directory(&path);
        let (log, _) = open(&directory).await;
        for index in 0..100 {
            append(&log, &batch(3, index));
        }
        let active = log.with_state(|state| u64::from(state.active_segment().bytes));
        assert!(log.with_state(|state| state.segments().len()) > 2);
        assert!(log.bytes_to_recover() > active);
        while log.bytes_to_recover() > active {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(log.bytes_to_recover(), active);
        log.checkpoint().await.unwrap();
        assert_eq!(log.bytes_to_recover(), 0);
        append(&log, &batch(3, 0));
        assert_eq!(log.bytes_to_recover(), batch(3, 0).len() as u64);
    });
}
