//! Reads and lookups of offsets: at once where the page cache has what they need, else by a task that waits for it.

use std::rc::Rc;

use crate::base::limits::{COLD_WAITS_PER_READ_MAX, STEP_MAX};
use crate::base::time::Monotonic;
use crate::partition::read::OffsetLookup;
use crate::partition::types::{OffsetFound, Read, ReadError, ReadOutcome};
use crate::rt;
use crate::shard::message::{Answer, Asked, FindOffset, ShardReply};
use crate::shard::{Origin, Shard};
use crate::storage::ColdRange;

type ReadResult = Result<ReadOutcome, ReadError>;
type FindResult = Result<Option<OffsetFound>, ReadError>;

/// What a read that was put off waits for first.
enum Wait {
    Turn,
    Page(ColdRange),
}

impl Shard {
    pub(super) fn read(self: &Rc<Self>, items: Vec<Asked<Read>>, origin: Origin) {
        let began = rt::time::now();
        let mut answers = Vec::with_capacity(items.len());
        let mut later = Vec::new();
        for asked in items {
            let outcome = match has_time_since(began) {
                true => self.read_one(&asked).map_err(Wait::Page),
                false => Err(Wait::Turn),
            };
            let result = outcome.unwrap_or_else(|wait| {
                later.push((answers.len(), asked.clone(), wait));
                Err(ReadError::Offline)
            });
            answers.push(Answer { tag: asked.tag, result });
        }
        if later.is_empty() {
            self.answer(origin, ShardReply::Read(answers));
            return;
        }
        let shard = Rc::clone(self);
        rt::task::spawn(async move {
            for (index, asked, wait) in later {
                let result = shard.read_after(wait, &asked).await;
                if let Some(answer) = answers.get_mut(index) {
                    answer.result = result;
                }
            }
            shard.answer(origin, ShardReply::Read(answers));
        });
    }

    fn read_one(&self, asked: &Asked<Read>) -> Result<ReadResult, ColdRange> {
        match self.hosted_or(asked.partition, ReadError::NotHosted, ReadError::Offline) {
            Ok(hosted) => hosted.read_warm(asked.what),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Reads one place, and waits for the disk where it has to.
    pub(super) async fn read_when_warm(&self, asked: &Asked<Read>) -> ReadResult {
        self.read_after(Wait::Turn, asked).await
    }

    /// Reads again whenever what was waited for is there. The partition may be gone by then.
    async fn read_after(&self, mut wait: Wait, asked: &Asked<Read>) -> ReadResult {
        for _ in 0..COLD_WAITS_PER_READ_MAX {
            match &wait {
                Wait::Turn => rt::task::yield_now().await,
                Wait::Page(range) => {
                    if let Err(error) = range.warm().await {
                        tracing::error!(partition = ?asked.partition, %error, "a lookup cannot be read");
                        return Err(ReadError::Offline);
                    }
                }
            }
            match self.read_one(asked) {
                Ok(result) => return result,
                Err(range) => wait = Wait::Page(range),
            }
        }
        // The page cache loses pages as fast as they come: better a core that waits than a reader that never gets on.
        let hosted = self.hosted_or(asked.partition, ReadError::NotHosted, ReadError::Offline)?;
        hosted.read(asked.what)
    }

    pub(super) fn find_offsets(self: &Rc<Self>, items: Vec<Asked<FindOffset>>, origin: Origin) {
        let began = rt::time::now();
        let mut answers = Vec::with_capacity(items.len());
        let mut later = Vec::new();
        for asked in items {
            let found = match has_time_since(began) {
                true => self.find_offset(&asked),
                false => None,
            };
            let result = found.unwrap_or_else(|| {
                later.push((answers.len(), asked.clone()));
                Err(ReadError::Offline)
            });
            answers.push(Answer { tag: asked.tag, result });
        }
        if later.is_empty() {
            self.answer(origin, ShardReply::FindOffsets(answers));
            return;
        }
        let shard = Rc::clone(self);
        rt::task::spawn(async move {
            for (index, asked) in later {
                let result = shard.search_offset(&asked).await;
                if let Some(answer) = answers.get_mut(index) {
                    answer.result = result;
                }
                rt::task::yield_if_needed().await;
            }
            shard.answer(origin, ShardReply::FindOffsets(answers));
        });
    }

    /// `None` where records have to be searched.
    fn find_offset(&self, asked: &Asked<FindOffset>) -> Option<FindResult> {
        match self.look_up(asked) {
            Ok(OffsetLookup::Found(found)) => Some(Ok(Some(found))),
            Ok(OffsetLookup::Search(_)) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn look_up(&self, asked: &Asked<FindOffset>) -> Result<OffsetLookup, ReadError> {
        let hosted = self.hosted_or(asked.partition, ReadError::NotHosted, ReadError::Offline)?;
        hosted.find_offset(asked.what.current_leader_epoch, asked.what.target)
    }

    async fn search_offset(&self, asked: &Asked<FindOffset>) -> FindResult {
        let search = match self.look_up(asked)? {
            OffsetLookup::Found(found) => return Ok(Some(found)),
            OffsetLookup::Search(search) => search,
        };
        let hit = search.run().await?;
        // The partition may be gone by now.
        let hosted = self.hosted_or(asked.partition, ReadError::NotHosted, ReadError::Offline)?;
        Ok(hosted.found_at(hit))
    }
}

/// Whether there is time for one more of several.
fn has_time_since(began: Monotonic) -> bool {
    rt::time::now().since(began) < STEP_MAX / 2
}
