//! Messages between the people of a call, over two data channels that both sides know without asking (RFC 8831 §6.4,
//! negotiated out of band): stream 0 in order and repeated until it arrives, stream 1 neither.
//!
//! What a page sends: one byte for the kind (0 bytes, 1 text), one for the number of recipients (0: everybody in the call),
//! 16 bytes for each recipient's leg, then the body. What a page receives: the kind, two bytes (big endian) for the number
//! of messages on stream 0 that it has missed since the last one because somebody went beyond a limit, 16 bytes for the
//! sender's leg, then the body. A message that is not of this form is nobody's.

use str0m::Rtc;
use str0m::channel::{ChannelConfig, ChannelData, ChannelId, Reliability};
use uuid::Uuid;

use crate::allowance::Allowance;
use crate::control::LegId;

/// Of a body.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Recipients that are named one by one.
const RECIPIENTS_MAX: usize = 16;
const LEG_BYTES: usize = 16;
/// With the largest head: what is announced to pages, and what SCTP puts together.
pub(crate) const MESSAGE_BYTES_MAX: usize = 2 + RECIPIENTS_MAX * LEG_BYTES + BODY_BYTES_MAX;
/// What may wait for one page: str0m holds back as much on an open channel.
const WAITING_BYTES_MAX: usize = 128 * 1024;
/// Channels that a page may open without being asked; each is closed at once.
pub(crate) const UNASKED_MAX: usize = 64;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// In order, repeated until it arrives.
    Reliable,
    /// Once, in any order.
    Lossy,
}

/// Text or not: the page makes a string of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bytes,
    Text,
}

/// A message on its way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    form: Form,
    to: Vec<LegId>,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads what a page sent.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Message<'a>> {
        let ([form, recipients], rest) = bytes.split_first_chunk()?;
        let form = match form {
            0 => Form::Bytes,
            1 => Form::Text,
            _ => return None,
        };
        let recipients = usize::from(*recipients);
        let (names, body) = rest.split_at_checked(recipients * LEG_BYTES)?;
        if recipients > RECIPIENTS_MAX || body.len() > BODY_BYTES_MAX {
            return None;
        }
        let leg = |name: &[u8]| Uuid::from_slice(name).ok().map(LegId);
        Some(Message { form, to: names.chunks_exact(LEG_BYTES).filter_map(leg).collect(), body })
    }

    /// Whether it is for this leg.
    pub(crate) fn is_for(&self, leg: LegId) -> bool {
        self.to.is_empty() || self.to.contains(&leg)
    }

    /// What a recipient receives.
    fn written(&self, from: LegId, missed: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + 2 + LEG_BYTES + self.body.len());
        bytes.push(u8::from(self.form == Form::Text));
        bytes.extend_from_slice(&missed.to_be_bytes());
        bytes.extend_from_slice(from.0.as_bytes());
        bytes.extend_from_slice(self.body);
        bytes
    }
}

/// One leg's side of both channels.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// Reliable and lossy, once an offer had a line for them.
    channels: Option<[ChannelId; 2]>,
    pub(crate) allowance: Allowance,
    /// What is in order for a page whose connection is still being made; `None` once its channel is open.
    waiting: Option<Vec<Vec<u8>>>,
    missed: u16,
    unasked: usize,
}

impl Mailbox {
    pub(crate) fn new(allowance: Allowance) -> Self {
        Mailbox { channels: None, allowance, waiting: Some(Vec::new()), missed: 0, unasked: 0 }
    }

    /// Opens both channels, if they are not.
    pub(crate) fn open(&mut self, rtc: &mut Rtc) {
        let config = |stream, label: &str, reliability, ordered| ChannelConfig {
            label: label.to_owned(),
            ordered,
            reliability,
            negotiated: Some(stream),
            ..ChannelConfig::default()
        };
        self.channels.get_or_insert_with(|| {
            let lossy = Reliability::MaxRetransmits { retransmits: 0 };
            [config(0, "messages", Reliability::Reliable, true), config(1, "lossy", lossy, false)]
                .map(|config| rtc.direct_api().create_data_channel(config))
        });
    }

    /// A channel is open. One that is not ours is closed; answers whether that was one too many.
    pub(crate) fn opened(&mut self, id: ChannelId, rtc: &mut Rtc) -> bool {
        if self.channels.is_some_and(|ours| ours.contains(&id)) {
            return false;
        }
        self.unasked += 1;
        rtc.direct_api().close_data_channel(id);
        self.unasked > UNASKED_MAX
    }

    /// Sends what waited for this channel to open. Answers the bytes of each message.
    pub(crate) fn send_waiting(&mut self, id: ChannelId, rtc: &mut Rtc) -> Vec<usize> {
        if self.channels.is_none_or(|[reliable, _]| reliable != id) {
            return Vec::new();
        }
        let waiting = self.waiting.take().unwrap_or_default();
        waiting.iter().filter(|bytes| self.write(id, bytes, rtc)).map(Vec::len).collect()
    }

    /// How data came; `None` on a channel that is not ours.
    pub(crate) fn delivery(&self, data: &ChannelData) -> Option<Delivery> {
        let [reliable, lossy] = self.channels?;
        match data.id {
            id if id == reliable => Some(Delivery::Reliable),
            id if id == lossy => Some(Delivery::Lossy),
            _ => None,
        }
    }

    /// Writes a message into the channel, or keeps it until that opens. Answers the bytes that went out now, if any.
    pub(crate) fn put(
        &mut self,
        message: &Message<'_>,
        from: LegId,
        delivery: Delivery,
        rtc: &mut Rtc,
    ) -> Option<usize> {
        let id = self.channels?[usize::from(delivery == Delivery::Lossy)];
        let bytes = message.written(from, self.missed);
        let size = bytes.len();
        let is_sent = self.waiting.is_none() && self.write(id, &bytes, rtc);
        if is_sent || (delivery == Delivery::Reliable && self.keep(bytes)) {
            self.missed = 0;
        } else {
            self.miss(delivery);
        }
        is_sent.then_some(size)
    }

    /// Whether there is still something to wait for, and room to do so.
    fn keep(&mut self, bytes: Vec<u8>) -> bool {
        let Some(waiting) = &mut self.waiting else { return false };
        let fits = waiting.iter().map(Vec::len).sum::<usize>() + bytes.len() <= WAITING_BYTES_MAX;
        if fits {
            waiting.push(bytes);
        }
        fits
    }

    /// Whether str0m took it: what does not fit is not taken.
    fn write(&self, id: ChannelId, bytes: &[u8], rtc: &mut Rtc) -> bool {
        rtc.channel(id).is_some_and(|mut channel| matches!(channel.write(true, bytes), Ok(true)))
    }

    /// A message was not delivered here.
    pub(crate) fn miss(&mut self, delivery: Delivery) {
        if delivery == Delivery::Reliable {
            self.missed = self.missed.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(n: u128) -> LegId {
        LegId(Uuid::from_u128(n))
    }

    fn sent(form: u8, to: &[LegId], body: &[u8]) -> Vec<u8> {
        let names = to.iter().flat_map(|leg| *leg.0.as_bytes());
        [form, to.len() as u8].into_iter().chain(names).chain(body.iter().copied()).collect()
    }

    #[test]
    fn a_message_is_for_those_it_names_or_for_all() {
        let bytes = sent(1, &[leg(1), leg(2)], b"hi");
        let message = Message::parse(&bytes).unwrap();
        assert!(message.is_for(leg(1)) && message.is_for(leg(2)) && !message.is_for(leg(3)));
        let expected = [&[1, 0, 7][..], leg(9).0.as_bytes(), b"hi"].concat();
        assert_eq!(message.written(leg(9), 7), expected);
        let bytes = sent(0, &[], b"");
        assert!(Message::parse(&bytes).unwrap().is_for(leg(3)));
    }

    #[test]
    fn what_is_not_of_the_form_is_nobodys() {
        let too_many: Vec<LegId> = (0..17).map(leg).collect();
        for bytes in [
            vec![],
            vec![0],
            vec![2, 0],
            vec![0, 1, 9],
            sent(0, &too_many, b""),
            sent(0, &[], &[0; BODY_BYTES_MAX + 1]),
        ] {
            assert_eq!(Message::parse(&bytes), None);
        }
        assert!(Message::parse(&sent(0, &too_many[..16], &[0; BODY_BYTES_MAX])).is_some());
    }
}
