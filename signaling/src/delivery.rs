//! Exactly-once, in-order delivery over sockets that break: numbers, acknowledgements, and a bounded memory of what
//! the other side has not acknowledged. The same on both sides of the socket.

use std::collections::VecDeque;

/// One side's end of a numbered conversation. `T` is what it says; what it hears is only counted here.
///
/// Both directions number from 1 without gaps. After [`Delivery::resume`] everything that the other side has not
/// received is said again; what arrives twice is recognised by its number.
#[derive(Debug)]
pub struct Delivery<T> {
    /// What was said and not acknowledged, oldest first.
    outbox: VecDeque<T>,
    capacity: usize,
    /// The greatest number that the other side has acknowledged; `outbox[0]` is the one after it.
    acknowledged: u64,
    /// The greatest number given to the socket that is attached now.
    sent: u64,
    /// The greatest number received.
    received: u64,
    /// The greatest number that we have told the other side to have received.
    told: u64,
}

/// What goes to the socket next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing<T> {
    /// A numbered event.
    Event(u64, T),
    /// Everything up to this number has arrived.
    Ack(u64),
}

/// The other side has not acknowledged as much as may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many events wait for their acknowledgement")]
pub struct OutboxFull;

/// The other side used a number that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSequence {
    /// An event's number leaves a gap.
    #[error("event {got} came where {expected} was expected")]
    Gap {
        /// What came.
        got: u64,
        /// What should have come.
        expected: u64,
    },
    /// It has received what was never sent, or forgotten what it had acknowledged.
    #[error("{got} is acknowledged, but only {from} to {to} can be")]
    NotSent {
        /// What came.
        got: u64,
        /// What is acknowledged already.
        from: u64,
        /// What was sent.
        to: u64,
    },
}

impl<T: Clone> Delivery<T> {
    /// A conversation in which nothing has been said. `capacity` bounds what may wait for an acknowledgement.
    pub fn new(capacity: usize) -> Self {
        Self { outbox: VecDeque::new(), capacity, acknowledged: 0, sent: 0, received: 0, told: 0 }
    }

    /// Says something: it goes out when a socket asks, and again after every resume until it is acknowledged.
    pub fn push(&mut self, event: T) -> Result<(), OutboxFull> {
        if self.outbox.len() >= self.capacity {
            return Err(OutboxFull);
        }
        self.outbox.push_back(event);
        Ok(())
    }

    /// What the attached socket should carry next.
    pub fn poll_outgoing(&mut self) -> Option<Outgoing<T>> {
        if self.told < self.received {
            self.told = self.received;
            return Some(Outgoing::Ack(self.received));
        }
        let index = usize::try_from(self.sent - self.acknowledged).ok()?;
        let event = self.outbox.get(index)?.clone();
        self.sent += 1;
        Some(Outgoing::Event(self.sent, event))
    }

    /// An event with this number has come. `Ok(true)`: it is the next one, act on it. `Ok(false)`: it was here before.
    pub fn accept(&mut self, seq: u64) -> Result<bool, BadSequence> {
        let expected = self.received + 1;
        if seq == 0 || seq > expected {
            return Err(BadSequence::Gap { got: seq, expected });
        }
        if seq < expected {
            return Ok(false);
        }
        self.received = seq;
        Ok(true)
    }

    /// The other side has everything up to `seq`. An old number changes nothing.
    pub fn acknowledge(&mut self, seq: u64) -> Result<(), BadSequence> {
        if seq > self.sent {
            return Err(BadSequence::NotSent { got: seq, from: self.acknowledged, to: self.sent });
        }
        let done = seq.saturating_sub(self.acknowledged);
        self.outbox.drain(..usize::try_from(done).map_or(self.outbox.len(), |n| n.min(self.outbox.len())));
        self.acknowledged += done;
        Ok(())
    }

    /// A new socket is attached, and the other side says that it has received everything up to `seq`.
    pub fn resume(&mut self, seq: u64) -> Result<(), BadSequence> {
        if seq < self.acknowledged {
            return Err(BadSequence::NotSent { got: seq, from: self.acknowledged, to: self.sent });
        }
        self.acknowledge(seq)?;
        self.sent = seq;
        self.told = self.received; // The answer to `resume`, or `resume` itself, says it.
        Ok(())
    }

    /// The greatest number received.
    pub fn received(&self) -> u64 {
        self.received
    }
}

#[cfg(test)]
mod tests;
