use super::*;
use proptest::prelude::*;

/// Two ends and the bytes on their way, each direction its own stream. A cut loses what is on its way.
struct Pair {
    ends: [Delivery<u32>; 2],
    /// `wires[i]` carries bytes from `ends[i]`.
    wires: [Vec<u8>; 2],
    /// What has arrived of a frame whose rest is still on its way.
    partial: [Vec<u8>; 2],
    heard: [Vec<u32>; 2],
    said: [u32; 2],
    resumes: u32,
}

impl Pair {
    fn new() -> Self {
        Self {
            ends: [Delivery::new(512), Delivery::new(512)],
            wires: Default::default(),
            partial: Default::default(),
            heard: Default::default(),
            said: [0, 0],
            resumes: 0,
        }
    }

    fn say(&mut self, end: usize) {
        if self.ends[end].push(self.said[end]).is_ok() {
            self.said[end] += 1;
        }
    }

    /// Gives the wire up to `frames` frames, as lines of text.
    fn write(&mut self, end: usize, frames: usize) {
        for _ in 0..frames {
            let Some(outgoing) = self.ends[end].poll_outgoing() else { return };
            let line = match outgoing {
                Outgoing::Event(seq, event) => format!("event {seq} {event}\n"),
                Outgoing::Ack(seq) => format!("ack {seq}\n"),
            };
            self.wires[end].extend_from_slice(line.as_bytes());
        }
    }

    /// Delivers the first `bytes` bytes of what `end` has written.
    fn read(&mut self, end: usize, bytes: usize) {
        let bytes = bytes.min(self.wires[end].len());
        self.partial[end].extend(self.wires[end].drain(..bytes));
        while let Some(at) = self.partial[end].iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial[end].drain(..=at).collect();
            self.hear(1 - end, std::str::from_utf8(&line).unwrap().trim_end());
        }
    }

    fn hear(&mut self, end: usize, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let seq: u64 = words[1].parse().unwrap();
        if words[0] == "ack" {
            self.ends[end].acknowledge(seq).unwrap();
        } else if self.ends[end].accept(seq).unwrap() {
            self.heard[end].push(words[2].parse().unwrap());
        }
    }

    /// The socket breaks somewhere in the bytes under way; then the client resumes, and that may break, too.
    fn cut(&mut self, answer_is_lost: bool) {
        self.wires = Default::default();
        self.partial = Default::default();
        self.resumes += 1;
        let (client, server) = (self.ends[0].received(), self.ends[1].received());
        self.ends[1].resume(client).unwrap();
        if answer_is_lost {
            self.cut(false);
        } else {
            self.ends[0].resume(server).unwrap();
        }
    }

    fn settle(&mut self) {
        for _ in 0..4 {
            for end in [0, 1] {
                self.write(end, usize::MAX);
                self.read(end, usize::MAX);
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Say(usize),
    Write(usize, usize),
    Read(usize, usize),
    Cut(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2usize).prop_map(Step::Say),
        3 => (0..2usize, 1..6usize).prop_map(|(end, frames)| Step::Write(end, frames)),
        3 => (0..2usize, 1..40usize).prop_map(|(end, bytes)| Step::Read(end, bytes)),
        2 => any::<bool>().prop_map(Step::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// About 200 runs of 200 steps, a sixth of them cuts at a random byte: more than 6,000 cuts.
    #[test]
    fn every_event_arrives_once_and_in_order_whatever_is_cut(steps in prop::collection::vec(step(), 150..250)) {
        let mut pair = Pair::new();
        for step in steps {
            match step {
                Step::Say(end) => pair.say(end),
                Step::Write(end, frames) => pair.write(end, frames),
                Step::Read(end, bytes) => pair.read(end, bytes),
                Step::Cut(answer_is_lost) => pair.cut(answer_is_lost),
            }
            for end in [0, 1] {
                prop_assert!(pair.heard[end].iter().copied().eq(0..pair.heard[end].len() as u32));
            }
        }
        pair.settle();
        for end in [0, 1] {
            prop_assert!(pair.heard[1 - end].iter().copied().eq(0..pair.said[end]));
            prop_assert!(pair.ends[end].outbox.is_empty(), "everything is acknowledged in the end");
        }
    }

    /// Numbers from a hostile peer are refused or change nothing; the outbox keeps its capacity.
    #[test]
    fn no_number_breaks_an_end(calls in prop::collection::vec((0..4u8, prop_oneof![0..20u64, any::<u64>()]), 0..100)) {
        let mut end: Delivery<u64> = Delivery::new(8);
        for (call, seq) in calls {
            let before = (end.received, end.acknowledged, end.sent, end.outbox.len());
            let refused = match call {
                0 => end.accept(seq).is_err(),
                1 => end.acknowledge(seq).is_err(),
                2 => end.resume(seq).is_err(),
                _ => end.push(seq).is_err(),
            };
            if refused {
                prop_assert_eq!(before, (end.received, end.acknowledged, end.sent, end.outbox.len()));
            }
            while end.poll_outgoing().is_some() {}
            prop_assert!(end.outbox.len() <= 8);
            prop_assert_eq!(end.sent - end.acknowledged, end.outbox.len() as u64);
        }
    }
}

#[test]
fn a_gap_is_refused_and_a_repetition_is_dropped() {
    let mut end: Delivery<()> = Delivery::new(4);
    assert_eq!(end.accept(1), Ok(true));
    assert_eq!(end.accept(1), Ok(false));
    assert_eq!(end.accept(3), Err(BadSequence::Gap { got: 3, expected: 2 }));
    assert_eq!(end.accept(0), Err(BadSequence::Gap { got: 0, expected: 2 }));
    assert_eq!(end.accept(2), Ok(true));
}

#[test]
fn a_full_outbox_says_so_and_empties_by_acknowledgement() {
    let mut end: Delivery<u8> = Delivery::new(2);
    assert_eq!((end.push(1), end.push(2), end.push(3)), (Ok(()), Ok(()), Err(OutboxFull)));
    assert_eq!(end.acknowledge(1), Err(BadSequence::NotSent { got: 1, from: 0, to: 0 }));
    assert_eq!(end.poll_outgoing(), Some(Outgoing::Event(1, 1)));
    assert_eq!(end.acknowledge(1), Ok(()));
    assert_eq!(end.push(3), Ok(()));
}

#[test]
fn one_acknowledgement_stands_for_many_events() {
    let mut end: Delivery<u8> = Delivery::new(2);
    for seq in 1..=5 {
        assert_eq!(end.accept(seq), Ok(true));
    }
    assert_eq!(end.poll_outgoing(), Some(Outgoing::Ack(5)));
    assert_eq!(end.poll_outgoing(), None);
}
