//! A line: a bottleneck with a queue, then a way with delay, jitter and loss.

use std::collections::VecDeque;

use super::Dice;

/// A packet under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet {
    pub(crate) flow: usize,
    pub(crate) seq: u64,
    pub(crate) size: usize,
    pub(crate) media: Media,
    pub(crate) entered_us: u64,
    pub(crate) arrived_us: u64,
    /// In the bottleneck's queue, with its own transmission.
    pub(crate) waited_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Audio,
    Video,
    Padding,
}

/// The line's nature, which may change in the middle of a story.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nature {
    /// 0: nothing passes.
    pub(crate) bps: f64,
    /// What the queue holds, as time at the rate.
    pub(crate) queue_ms: f64,
    /// The part lost behind the bottleneck.
    pub(crate) loss: f64,
    pub(crate) delay_ms: f64,
    pub(crate) jitter_ms: f64,
    /// Jitter lets packets overtake each other.
    pub(crate) reorders: bool,
}

impl Nature {
    /// A line of this rate, otherwise middling: 300 ms of queue, 25 ms of delay.
    pub(crate) fn of(bps: f64) -> Self {
        Nature { bps, queue_ms: 300.0, loss: 0.0, delay_ms: 25.0, jitter_ms: 0.0, reorders: false }
    }

    /// With this part lost.
    pub(crate) fn loss(self, loss: f64) -> Self {
        Nature { loss, ..self }
    }

    /// With up to this much jitter.
    pub(crate) fn jitter_ms(self, jitter_ms: f64) -> Self {
        Nature { jitter_ms, ..self }
    }

    /// With up to this much jitter, in which packets overtake each other.
    pub(crate) fn reorder_ms(self, jitter_ms: f64) -> Self {
        Nature { jitter_ms, reorders: true, ..self }
    }

    /// With a queue of this length.
    pub(crate) fn queue_ms(self, queue_ms: f64) -> Self {
        Nature { queue_ms, ..self }
    }

    /// With this delay.
    pub(crate) fn delay_ms(self, delay_ms: f64) -> Self {
        Nature { delay_ms, ..self }
    }
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) nature: Nature,
    dice: Dice,
    queue: VecDeque<Packet>,
    queued_bytes: usize,
    free_us: u64,
    on_the_way: VecDeque<Packet>,
}

impl Link {
    pub(crate) fn new(nature: Nature, seed: u64) -> Self {
        Link {
            nature,
            dice: Dice::new(seed),
            queue: VecDeque::new(),
            queued_bytes: 0,
            free_us: 0,
            on_the_way: VecDeque::new(),
        }
    }

    /// A packet enters; it may find the queue full.
    pub(crate) fn enter(&mut self, packet: Packet) {
        let room = (self.nature.bps * self.nature.queue_ms / 8e3).max(3_000.0);
        if self.nature.bps > 0.0 && (self.queued_bytes + packet.size) as f64 <= room {
            self.queued_bytes += packet.size;
            self.queue.push_back(packet);
        }
    }

    /// What has arrived by now.
    pub(crate) fn arrivals(&mut self, now_us: u64) -> Vec<Packet> {
        self.serve(now_us);
        let mut arrived = Vec::new();
        while self.on_the_way.front().is_some_and(|packet| packet.arrived_us <= now_us) {
            arrived.extend(self.on_the_way.pop_front());
        }
        arrived
    }

    fn serve(&mut self, now_us: u64) {
        while let Some(first) = self.queue.front() {
            let begins_us = self.free_us.max(first.entered_us);
            if self.nature.bps <= 0.0 {
                (self.queued_bytes, self.free_us) = (0, now_us);
                return self.queue.clear();
            }
            if begins_us > now_us {
                return;
            }
            let takes_us = first.size as f64 * 8e6 / self.nature.bps;
            self.free_us = begins_us + takes_us as u64;
            let packet = self.queue.pop_front().expect("looked at");
            self.queued_bytes -= packet.size;
            self.travel(packet);
        }
    }

    fn travel(&mut self, mut packet: Packet) {
        if self.dice.roll() < self.nature.loss {
            return;
        }
        let way_ms = self.nature.delay_ms + self.dice.roll() * self.nature.jitter_ms;
        let before_us = self.on_the_way.back().map_or(0, |packet| packet.arrived_us);
        packet.waited_us = self.free_us - packet.entered_us;
        let arrived_us = self.free_us + (way_ms * 1e3) as u64;
        packet.arrived_us = if self.nature.reorders { arrived_us } else { arrived_us.max(before_us) };
        let place = self.on_the_way.partition_point(|other| other.arrived_us <= packet.arrived_us);
        self.on_the_way.insert(place, packet);
    }
}
