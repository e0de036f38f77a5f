//! Bends bytes without knowing what they mean.

/// Numbers at which parsers trip.
const INTERESTING: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    u64::MAX,
];
/// An input grows to this many times its longest seed at most.
const GROWTH_MAX: usize = 2;
/// And may always be this long.
const BYTES_MAX: usize = 2_048;
/// Changes that are made to one input at most.
const CHANGES_MAX: usize = 8;

/// Makes inputs out of seeds. The same seed of chance makes the same inputs.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
    seeds: Vec<Vec<u8>>,
    bytes_max: usize,
}

impl Mutator {
    /// Begins with these inputs.
    pub fn new(seeds: Vec<Vec<u8>>, chance: u64) -> Mutator {
        let longest = seeds.iter().map(Vec::len).max().unwrap_or_default();
        Mutator { state: chance, seeds, bytes_max: BYTES_MAX.max(longest * GROWTH_MAX) }
    }

    /// Another input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let which = self.below(self.seeds.len());
        let mut input = self.seeds[which].clone();
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change(&mut input);
        }
        input.truncate(self.bytes_max);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        if input.is_empty() {
            input.extend([0; 4]);
        }
        let at = self.below(input.len());
        match self.below(9) {
            0 => input[at] ^= 1 << self.below(8),
            1 => input[at] = self.next() as u8,
            2 => self.put_number(input, at),
            3 => input.truncate(at),
            4 => drop(input.drain(at..self.end(input, at))),
            5 => {
                let piece = input[at..self.end(input, at)].to_vec();
                self.insert(input, &piece);
            }
            6 => {
                let piece: Vec<u8> = (0..=self.below(16)).map(|_| self.next() as u8).collect();
                self.insert(input, &piece);
            }
            7 => self.splice(input, at),
            _ => {
                let other = self.below(input.len());
                input.swap(at, other);
            }
        }
    }

    fn put_number(&mut self, input: &mut [u8], at: usize) {
        let number = INTERESTING[self.below(INTERESTING.len())].wrapping_add(self.next() % 3).wrapping_sub(1);
        let width = 1 << self.below(4);
        let bytes = match self.below(2) {
            0 => number.to_le_bytes()[..width].to_vec(),
            _ => number.to_be_bytes()[8 - width..].to_vec(),
        };
        input[at..].iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    }

    /// The head of one input and the tail of another.
    fn splice(&mut self, input: &mut Vec<u8>, at: usize) {
        let which = self.below(self.seeds.len());
        let from = self.below(self.seeds[which].len() + 1);
        input.truncate(at);
        input.extend(&self.seeds[which][from..]);
    }

    fn insert(&mut self, input: &mut Vec<u8>, piece: &[u8]) {
        if input.len() + piece.len() <= self.bytes_max {
            let at = self.below(input.len() + 1);
            input.splice(at..at, piece.iter().copied());
        }
    }

    /// Mostly near, sometimes far.
    fn end(&mut self, input: &[u8], at: usize) -> usize {
        let reach = if self.below(4) == 0 { input.len() } else { 16 };
        input.len().min(at + 1 + self.below(reach))
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
