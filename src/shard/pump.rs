//! The one task that takes messages from other cores, and the way out for messages that found a queue full.

use std::rc::Rc;
use std::time::Duration;

use crate::base::ids::ShardId;
use crate::rt;
use crate::shard::message::Message;
use crate::shard::{Origin, Shard};

/// How long a full queue of another core is left alone.
const OUTBOX_RETRY: Duration = Duration::from_micros(500);

impl Shard {
    /// Takes messages for as long as the core runs. It awaits nothing but messages, and its next turn.
    pub async fn pump(self: Rc<Self>) {
        loop {
            for (_from, message) in self.endpoint.receive().await {
                self.take(message);
                rt::task::yield_if_needed().await;
            }
        }
    }

    fn take(self: &Rc<Self>, message: Message) {
        match message {
            Message::Request { reply_to, request } => self.execute(request, Origin::Remote(reply_to)),
            Message::Reply { call, reply } => {
                if let Some(waiting) = self.calls.take(call) {
                    waiting.respond(reply);
                }
            }
            Message::Watch { reply_to, items } => self.begin_watch(reply_to, items),
            Message::Unwatch { reply_to } => self.purgatory.borrow_mut().unwatch(reply_to),
            Message::Image { image, reply_to } => self.take_image(image, reply_to),
            Message::Listen => self.allow_listening(),
            Message::Stop => self.begin_stop(),
        }
    }

    /// Sends a message to another core. One that finds the queue full waits in the outbox, ahead of all later ones.
    pub(super) fn post(self: &Rc<Self>, to: ShardId, message: Message) {
        let mut outboxes = self.outboxes.borrow_mut();
        let outbox = outboxes.get_mut(to.index());
        if crate::never!(outbox.is_none()) {
            return;
        }
        let Some(outbox) = outbox else { return };
        if outbox.is_empty() {
            let Err(rejected) = self.endpoint.try_send(to.index(), message) else {
                return;
            };
            outbox.push_back(rejected);
        } else {
            outbox.push_back(message);
        }
        if !self.retrying.replace(true) {
            let shard = Rc::clone(self);
            rt::task::spawn(async move {
                while !shard.flush_outboxes() {
                    rt::time::sleep(OUTBOX_RETRY).await;
                }
                shard.retrying.set(false);
            });
        }
    }

    /// Whether all outboxes are empty after sending what finds room.
    fn flush_outboxes(&self) -> bool {
        let mut all_empty = true;
        for (core, outbox) in self.outboxes.borrow_mut().iter_mut().enumerate() {
            while let Some(message) = outbox.pop_front() {
                if let Err(rejected) = self.endpoint.try_send(core, message) {
                    outbox.push_front(rejected);
                    all_empty = false;
                    break;
                }
            }
        }
        all_empty
    }
}
