//! Datagrams to one destination, one behind the other: the kernel cuts them apart again (UDP generic segmentation
//! offload), which costs a third less than sending them one by one.

use super::{Path, Wire};

/// Datagrams of one train. More would save little and arrive as a burst that small routers drop.
pub(super) const SEGMENTS_MAX: usize = 16;
/// Room for the longest train and one packet that turns out not to belong to it.
pub(crate) const BYTES: usize = (SEGMENTS_MAX + 1) * super::stream::PACKET_BYTES_MAX;

/// A train that is being put together.
pub(crate) struct Train<'a> {
    wire: &'a mut dyn Wire,
    path: Path,
    bytes: &'a mut [u8],
    len: usize,
    segment: usize,
    segments: usize,
    /// Its last datagram is shorter than the others.
    closed: bool,
    sent: usize,
}

impl<'a> Train<'a> {
    /// `bytes` is [`BYTES`] long.
    pub(crate) fn new(wire: &'a mut dyn Wire, path: Path, bytes: &'a mut [u8]) -> Self {
        Train { wire, path, bytes, len: 0, segment: 0, segments: 0, closed: false, sent: 0 }
    }

    /// Where the next datagram is written.
    pub(super) fn place(&mut self) -> &mut [u8] {
        &mut self.bytes[self.len..]
    }

    /// The next datagram is this long.
    pub(super) fn add(&mut self, len: usize) {
        let fits = len <= self.segment && self.segments < SEGMENTS_MAX && !self.closed;
        if self.segments > 0 && !fits {
            let start = self.len;
            self.leave();
            self.bytes.copy_within(start..start + len, 0);
        }
        if self.segments == 0 {
            self.segment = len;
        }
        self.closed = len < self.segment;
        self.len += len;
        self.segments += 1;
        self.sent += len;
    }

    /// Sends what is left. Answers how many bytes were sent in all.
    pub(super) fn finish(mut self) -> usize {
        self.leave();
        self.sent
    }

    fn leave(&mut self) {
        if self.segments > 0 {
            self.wire.send(self.path, &self.bytes[..self.len], self.segment);
        }
        (self.len, self.segments, self.closed) = (0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[derive(Default)]
    struct Heard(Vec<(Vec<u8>, usize)>);

    impl Wire for Heard {
        fn send(&mut self, _path: Path, train: &[u8], segment: usize) {
            self.0.push((train.to_vec(), segment));
        }
    }

    fn trains(sizes: &[usize]) -> Vec<Vec<usize>> {
        let mut heard = Heard::default();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut bytes = vec![0; BYTES];
        let mut train = Train::new(&mut heard, Path { local: address, remote: address.into() }, &mut bytes);
        for (n, size) in sizes.iter().enumerate() {
            train.place()[..*size].fill(n as u8);
            train.add(*size);
        }
        assert_eq!(train.finish(), sizes.iter().sum::<usize>());
        let mut n = 0;
        let mut cut = |(bytes, segment): &(Vec<u8>, usize)| {
            let datagrams = bytes.chunks(*segment);
            let sizes = datagrams.map(|datagram| {
                assert!(datagram.iter().all(|byte| *byte == n), "datagram {n} is whole");
                n += 1;
                datagram.len()
            });
            sizes.collect::<Vec<usize>>()
        };
        heard.0.iter().map(&mut cut).collect()
    }

    #[test]
    fn equal_sizes_travel_together_and_a_shorter_one_closes_the_train() {
        assert_eq!(
            trains(&[900, 900, 500, 900, 1000, 1000]),
            [vec![900, 900, 500], vec![900], vec![1000, 1000]]
        );
        assert_eq!(trains(&[]), Vec::<Vec<usize>>::new());
        assert_eq!(trains(&[7]), [[7]]);
    }

    #[test]
    fn a_train_has_an_end() {
        let lengths: Vec<usize> = trains(&[1200; 40]).iter().map(Vec::len).collect();
        assert_eq!(lengths, [16, 16, 8]);
    }
}
