//! Numbers of so many bits, most significant first.

/// Reads bits from bytes.
#[derive(Debug, Clone)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    /// From the first bit on.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Bits { bytes, at: 0 }
    }

    /// The next `count` bits, up to 64, as a number; `None` when there are not as many.
    pub(crate) fn take(&mut self, count: usize) -> Option<u64> {
        let end = self.at + count;
        if end > self.bytes.len() * 8 {
            return None;
        }
        let bit = |at: usize| u64::from(self.bytes[at / 8] >> (7 - at % 8) & 1);
        let number = (self.at..end).fold(0, |number, at| number << 1 | bit(at));
        self.at = end;
        Some(number)
    }

    /// A flag.
    pub(crate) fn flag(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    /// A number below `values`, in as few bits as it needs (AV1 bitstream §4.10.7, `ns(n)`).
    pub(crate) fn below(&mut self, values: u64) -> Option<u64> {
        let width = (u64::BITS - values.leading_zeros()) as usize;
        let short = (1u64 << width) - values;
        let number = self.take(width.saturating_sub(1))?;
        if number < short {
            return Some(number);
        }
        Some((number << 1 | self.take(1)?) - short)
    }

    /// How many bits were read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// How many bits are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }
}

/// Writes bits over bytes.
#[derive(Debug)]
pub(crate) struct BitsMut<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> BitsMut<'a> {
    /// From the first bit on.
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        BitsMut { bytes, at: 0 }
    }

    /// Writes the low `count` bits of a number, up to 64; `None` when there is no room.
    pub(crate) fn put(&mut self, number: u64, count: usize) -> Option<()> {
        if self.at + count > self.bytes.len() * 8 {
            return None;
        }
        for bit in (0..count).rev() {
            let mask = 1 << (7 - self.at % 8);
            let byte = &mut self.bytes[self.at / 8];
            *byte = if number >> bit & 1 == 1 { *byte | mask } else { *byte & !mask };
            self.at += 1;
        }
        Some(())
    }

    /// Copies the next `count` bits.
    pub(crate) fn copy(&mut self, from: &mut Bits<'_>, count: usize) -> Option<()> {
        let mut left = count;
        while left > 0 {
            let step = left.min(64);
            self.put(from.take(step)?, step)?;
            left -= step;
        }
        Some(())
    }

    /// Fills the last byte with zeros; answers how many bytes were written.
    pub(crate) fn finish(mut self) -> usize {
        let rest = self.at.next_multiple_of(8) - self.at;
        let _is_room = self.put(0, rest);
        self.at / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_written_bit_by_bit() {
        let mut bits = Bits::new(&[0b1010_0000, 0b0100_0001]);
        assert_eq!((bits.take(1), bits.take(3), bits.take(6)), (Some(1), Some(2), Some(1)));
        assert_eq!((bits.left(), bits.take(7), bits.take(6)), (6, None, Some(1)));
        let mut bytes = [0xff; 3];
        let mut writer = BitsMut::new(&mut bytes);
        writer.put(5, 4).unwrap();
        writer.copy(&mut Bits::new(&[0xf0]), 7).unwrap();
        assert_eq!(writer.finish(), 2);
        assert_eq!(bytes, [0x5f, 0x00, 0xff]);
    }

    #[test]
    fn numbers_below_a_limit_take_no_more_bits_than_they_need() {
        let mut bits = Bits::new(&[0b0001_1011, 0b1000_0000]);
        let values: Vec<_> = (0..5).map(|_| bits.below(5)).collect();
        assert_eq!(values, [Some(0), Some(1), Some(2), Some(4), Some(0)]);
        assert_eq!(Bits::new(&[]).below(1), Some(0));
    }
}
