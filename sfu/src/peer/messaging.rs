//! One connection's side of what people write to each other.

use std::time::Instant;

use str0m::channel::ChannelId;

use super::{Datagram, Now, Peer, Said};
use crate::control::LegId;
use crate::messages::{Delivery, Message};
use crate::offer::Offer;

impl Peer {
    /// Opens the channels for messages, if an offer has a line for them.
    pub(crate) fn open_messages(&mut self, offer: &Offer) {
        if offer.has_messages() {
            self.mailbox.open(&mut self.rtc);
        }
    }

    /// Closes a channel that is not ours, and sends what waited for one that is.
    pub(super) fn channel_opened(&mut self, id: ChannelId) {
        self.broken |= self.mailbox.opened(id, &mut self.rtc);
        for bytes in self.mailbox.send_waiting(id, &mut self.rtc) {
            self.usage.sent(bytes);
            self.usage.delivered();
        }
    }

    /// Whether this leg's messages go on to the others: those who may publish something may write, too.
    pub(crate) fn may_write(&self) -> bool {
        self.entered.is_some() && !self.tracks.is_empty()
    }

    /// Takes a message of so many bytes from the leg's account, if that has enough.
    pub(crate) fn can_afford(&mut self, bytes: usize, now: Instant) -> bool {
        let affords = self.mailbox.allowance.is_left(now);
        if affords {
            self.mailbox.allowance.spend(bytes);
        }
        affords
    }

    /// Delivers a message. Answers what str0m said when it sent it.
    pub(crate) fn deliver(
        &mut self,
        message: &Message<'_>,
        from: LegId,
        delivery: Delivery,
        now: Now,
        out: &mut Vec<Datagram>,
    ) -> Option<Said> {
        let bytes = self.mailbox.put(message, from, delivery, &mut self.rtc)?;
        self.usage.sent(bytes);
        self.usage.delivered();
        Some(self.wake(now, out))
    }

    /// A message was kept from this leg by a limit.
    pub(crate) fn miss(&mut self, delivery: Delivery) {
        self.mailbox.miss(delivery);
    }
}
