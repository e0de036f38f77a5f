//! Usage on disk: append-only segments of checkpoints that survive a kill, a power cut and a full disk.
//!
//! A segment `usage-<number>.log` begins with [`MAGIC`] and holds records: length (u32), CRC-32 of the body (u32), body;
//! all little-endian. A body is [`VERSION`] and facts of [`FACT_BYTES`] each. A record that is cut short or does not match
//! its checksum ends what a segment says; nothing is ever appended to a segment after a start, a failed write or a failed
//! fsync (after which the page cache cannot be trusted): another segment is begun.
//!
//! `shipped` holds the position up to which the hub has everything. A segment that lies wholly before it is renamed to
//! `usage-<number>.shipped-<hour>` and kept 35 days, so that a hub restored from a backup can ask again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use uuid::Uuid;

use crate::control::{LegId, Meter, TenantId, UsageFact};
use crate::usage::hour_of;

/// The first bytes of a segment.
const MAGIC: &[u8; 8] = b"TUPUSE01";
/// How a record's body is laid out.
const VERSION: u8 = 1;
/// Tenant, leg, meter, hour, quantity.
const FACT_BYTES: usize = 16 + 16 + 1 + 8 + 8;
/// Facts in one record at most: 800 kB.
const RECORD_FACTS_MAX: usize = 16_384;
/// A segment is closed when it is larger than this.
const SEGMENT_BYTES_MAX: u64 = 8 << 20;
/// How long a segment is kept after the hub has all of it.
const KEEP_HOURS: i64 = 35 * 24;

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory cannot be made, read or written.
    #[error("cannot use the journal directory")]
    Directory(#[from] io::Error),
    /// Another node uses the directory.
    #[error("another process uses the journal directory")]
    InUse,
}

/// A place in the journal; later places are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Position {
    segment: u64,
    bytes: u64,
}

/// The open journal of one node.
#[derive(Debug)]
pub(crate) struct Journal {
    directory: PathBuf,
    /// Held for its lock on the directory.
    _lock: File,
    current: Option<Segment>,
    /// The number of the next segment.
    next: u64,
    /// Segments that are not yet known to be shipped, oldest first.
    unshipped: Vec<u64>,
    hour_cleaned: i64,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    file: File,
    bytes: u64,
    dirty: bool,
}

impl Journal {
    /// Opens a directory and answers what the hub may not have: the facts after the shipped mark, in their order.
    pub(crate) fn open(directory: &Path) -> Result<(Journal, Vec<UsageFact>), JournalError> {
        std::fs::create_dir_all(directory)?;
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(directory.join("lock"))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| JournalError::InUse)?;
        let mark = read_mark(directory);
        let segments = list_segments(directory)?;
        let mut facts = Vec::new();
        for number in &segments {
            if *number >= mark.segment {
                let bytes = std::fs::read(segment_path(directory, *number))?;
                let skip = if *number == mark.segment { mark.bytes } else { 0 };
                facts.extend(read_segment(&bytes, skip));
            }
        }
        let next = segments.last().copied().unwrap_or(0).max(mark.segment).max(last_shipped(directory)?) + 1;
        let journal = Journal {
            directory: directory.to_owned(),
            _lock: lock,
            current: None,
            next,
            unshipped: segments,
            hour_cleaned: 0,
        };
        Ok((journal, facts))
    }

    /// Appends facts. An error leaves nothing half said: the segment is given up and the next append begins another.
    pub(crate) fn append(&mut self, facts: &[UsageFact]) -> io::Result<()> {
        for facts in facts.chunks(RECORD_FACTS_MAX) {
            let record = encode_record(facts);
            let segment = self.segment()?;
            if let Err(error) = segment.file.write_all(&record) {
                self.current = None;
                return Err(error);
            }
            segment.bytes += record.len() as u64;
            segment.dirty = true;
        }
        Ok(())
    }

    /// Makes all that was appended durable. A failed fsync closes the segment: what it held must be appended again.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let Some(segment) = &mut self.current else { return Ok(()) };
        if segment.dirty {
            if let Err(error) = segment.file.sync_data() {
                self.current = None;
                return Err(error);
            }
            segment.dirty = false;
        }
        if segment.bytes > SEGMENT_BYTES_MAX {
            self.current = None;
        }
        Ok(())
    }

    /// Where the next append goes.
    pub(crate) fn position(&self) -> Position {
        match &self.current {
            Some(segment) => Position { segment: segment.number, bytes: segment.bytes },
            None => Position { segment: self.next, bytes: 0 },
        }
    }

    /// The hub has everything before `position`: the mark is moved there.
    pub(crate) fn mark_shipped(&mut self, position: Position, wall: Timestamp) -> io::Result<()> {
        write_mark(&self.directory, position)?;
        let hour = hour_of(wall);
        for number in self.unshipped.extract_if(.., |number| *number < position.segment) {
            let from = segment_path(&self.directory, number);
            std::fs::rename(from, self.directory.join(format!("usage-{number:016}.shipped-{hour}")))?;
        }
        if self.hour_cleaned != hour {
            self.hour_cleaned = hour;
            remove_old(&self.directory, hour)?;
        }
        Ok(())
    }

    fn segment(&mut self) -> io::Result<&mut Segment> {
        if self.current.is_none() {
            self.current = Some(self.begin_segment()?);
        }
        Ok(self.current.as_mut().expect("just begun"))
    }

    fn begin_segment(&mut self) -> io::Result<Segment> {
        let number = self.next;
        let path = segment_path(&self.directory, number);
        let mut file = OpenOptions::new().create_new(true).write(true).open(&path)?;
        // The segment's name must survive a power cut as well as its content.
        let begun = file.write_all(MAGIC).and_then(|()| File::open(&self.directory)?.sync_all());
        if let Err(error) = begun {
            // A full disk must not fill up with empty segments as well.
            let _best_effort = std::fs::remove_file(path);
            return Err(error);
        }
        self.next += 1;
        self.unshipped.push(number);
        Ok(Segment { number, file, bytes: MAGIC.len() as u64, dirty: true })
    }
}

fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("usage-{number:016}.log"))
}

/// The numbers of the segments that are not marked as shipped, oldest first.
fn list_segments(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for name in names(directory)? {
        let number = name.strip_prefix("usage-").and_then(|rest| rest.strip_suffix(".log"));
        numbers.extend(number.and_then(|digits| digits.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Shipped segments as `(number, hour of shipping, name)`.
fn list_shipped(directory: &Path) -> io::Result<Vec<(u64, i64, String)>> {
    let parse = |name: String| {
        let (number, hour) = name.strip_prefix("usage-")?.split_once(".shipped-")?;
        Some((number.parse().ok()?, hour.parse().ok()?, name.clone()))
    };
    Ok(names(directory)?.into_iter().filter_map(parse).collect())
}

fn last_shipped(directory: &Path) -> io::Result<u64> {
    Ok(list_shipped(directory)?.into_iter().map(|(number, _, _)| number).max().unwrap_or(0))
}

fn remove_old(directory: &Path, hour: i64) -> io::Result<()> {
    for (_, shipped, name) in list_shipped(directory)? {
        if hour - shipped > KEEP_HOURS {
            std::fs::remove_file(directory.join(name))?;
        }
    }
    Ok(())
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir(directory)?;
    entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect()
}

/// The mark: position and its CRC-32. An unreadable mark means the beginning: facts are sent again, which is harmless.
fn read_mark(directory: &Path) -> Position {
    let read = || {
        let bytes = std::fs::read(directory.join("shipped")).ok()?;
        let (position, crc) = bytes.split_at_checked(16)?;
        if crc != crc32fast::hash(position).to_le_bytes() {
            return None;
        }
        let (segment, bytes) = position.split_at(8);
        Some(Position {
            segment: u64::from_le_bytes(segment.try_into().ok()?),
            bytes: u64::from_le_bytes(bytes.try_into().ok()?),
        })
    };
    read().unwrap_or_default()
}

fn write_mark(directory: &Path, position: Position) -> io::Result<()> {
    let mut bytes = [position.segment.to_le_bytes(), position.bytes.to_le_bytes()].concat();
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    let new = directory.join("shipped.new");
    let mut file = File::create(&new)?;
    file.write_all(&bytes)?;
    file.sync_data()?;
    std::fs::rename(new, directory.join("shipped"))
}

fn encode_record(facts: &[UsageFact]) -> Vec<u8> {
    let mut body = Vec::with_capacity(1 + facts.len() * FACT_BYTES);
    body.push(VERSION);
    for fact in facts {
        body.extend(fact.tenant.0.as_bytes());
        body.extend(fact.leg.0.as_bytes());
        body.push(match fact.meter {
            Meter::ParticipantMs => 1,
            Meter::EgressBytes => 2,
            Meter::MessageCount => 3,
        });
        body.extend(fact.hour.to_le_bytes());
        body.extend(fact.quantity.to_le_bytes());
    }
    let mut record = Vec::with_capacity(8 + body.len());
    record.extend((body.len() as u32).to_le_bytes());
    record.extend(crc32fast::hash(&body).to_le_bytes());
    record.extend(body);
    record
}

/// The facts of a segment after its first `skip` bytes, up to the first record that is torn or damaged.
pub(crate) fn read_segment(bytes: &[u8], skip: u64) -> Vec<UsageFact> {
    let mut facts = Vec::new();
    if !bytes.starts_with(MAGIC) {
        return facts;
    }
    let skip = usize::try_from(skip).unwrap_or(usize::MAX).max(MAGIC.len());
    let mut rest = bytes.get(skip..).unwrap_or_default();
    while let Some((body, after)) = split_record(rest) {
        facts.extend(body.chunks_exact(FACT_BYTES).filter_map(decode_fact));
        rest = after;
    }
    facts
}

fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (body, after) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (version, facts) = body.split_first()?;
    (*version == VERSION).then_some((facts, after))
}

fn decode_fact(bytes: &[u8]) -> Option<UsageFact> {
    let (tenant, rest) = bytes.split_first_chunk::<16>()?;
    let (leg, rest) = rest.split_first_chunk::<16>()?;
    let (meter, rest) = rest.split_first()?;
    let (hour, rest) = rest.split_first_chunk::<8>()?;
    let (quantity, _) = rest.split_first_chunk::<8>()?;
    Some(UsageFact {
        tenant: TenantId(Uuid::from_bytes(*tenant)),
        leg: LegId(Uuid::from_bytes(*leg)),
        meter: match meter {
            1 => Meter::ParticipantMs,
            2 => Meter::EgressBytes,
            3 => Meter::MessageCount,
            _ => return None,
        },
        hour: i64::from_le_bytes(*hour),
        quantity: u64::from_le_bytes(*quantity),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fact(leg: u128, quantity: u64) -> UsageFact {
        UsageFact {
            tenant: TenantId(Uuid::from_u128(9)),
            leg: LegId(Uuid::from_u128(leg)),
            meter: [Meter::ParticipantMs, Meter::EgressBytes, Meter::MessageCount][leg as usize % 3],
            hour: 480_000,
            quantity,
        }
    }

    fn wall(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    fn open(directory: &Path) -> (Journal, Vec<UsageFact>) {
        Journal::open(directory).unwrap()
    }

    #[test]
    fn a_start_finds_what_was_not_shipped() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, found) = open(dir.path());
        assert!(found.is_empty());
        journal.append(&[fact(1, 10), fact(2, 20)]).unwrap();
        journal.sync().unwrap();
        let shipped = journal.position();
        journal.append(&[fact(1, 11)]).unwrap();
        journal.mark_shipped(shipped, wall(1)).unwrap();
        drop(journal);
        let (mut journal, found) = open(dir.path());
        assert_eq!(found, [fact(1, 11)]);
        journal.append(&[fact(3, 1)]).unwrap();
        drop(journal);
        assert_eq!(open(dir.path()).1, [fact(1, 11), fact(3, 1)]);
    }

    #[test]
    fn one_node_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let _first = open(dir.path());
        assert!(matches!(Journal::open(dir.path()), Err(JournalError::InUse)));
    }

    #[test]
    fn a_segment_cut_at_any_byte_gives_the_records_before_the_cut() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        let mut ends = vec![(MAGIC.len(), 0)];
        for n in 0..12u64 {
            let facts: Vec<UsageFact> = (0..=n % 3).map(|leg| fact(u128::from(leg), n)).collect();
            journal.append(&facts).unwrap();
            ends.push((journal.position().bytes as usize, ends[n as usize].1 + facts.len()));
        }
        drop(journal);
        let path = segment_path(dir.path(), 1);
        let whole = std::fs::read(&path).unwrap();
        let all = read_segment(&whole, 0);
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (journal, found) = open(dir.path());
            let expected = ends.iter().rev().find(|(end, _)| *end <= cut).map_or(0, |(_, facts)| *facts);
            assert_eq!(found, all[..expected], "cut at {cut}");
            assert_eq!(journal.next, 2, "nothing is appended to what was found");
        }
    }

    #[test]
    fn shipped_segments_are_kept_35_days() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        journal.append(&[fact(1, 1)]).unwrap();
        journal.current = None;
        journal.append(&[fact(1, 2)]).unwrap();
        journal.mark_shipped(journal.position(), wall(1_000)).unwrap();
        assert_eq!(list_shipped(dir.path()).unwrap().len(), 1);
        journal.mark_shipped(journal.position(), wall(1_000 + KEEP_HOURS)).unwrap();
        assert_eq!(list_shipped(dir.path()).unwrap().len(), 1);
        journal.mark_shipped(journal.position(), wall(1_001 + KEEP_HOURS)).unwrap();
        assert!(list_shipped(dir.path()).unwrap().is_empty());
        assert!(open_after(journal, dir.path()).next > 2, "numbers are not used again");
    }

    fn open_after(journal: Journal, directory: &Path) -> Journal {
        drop(journal);
        open(directory).0
    }

    #[test]
    fn a_damaged_mark_means_everything_is_sent_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        journal.append(&[fact(1, 1)]).unwrap();
        journal.mark_shipped(journal.position(), wall(1)).unwrap();
        drop(journal);
        assert!(open(dir.path()).1.is_empty());
        std::fs::write(dir.path().join("shipped"), b"garbage").unwrap();
        assert_eq!(open(dir.path()).1, [fact(1, 1)]);
    }

    proptest! {
        /// One flipped bit anywhere: what is read is a prefix of what was written, never something else.
        #[test]
        fn a_flipped_bit_never_invents_usage(quantities in proptest::collection::vec(any::<u64>(), 1..20), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = MAGIC.to_vec();
            let facts: Vec<UsageFact> = quantities.iter().map(|quantity| fact(7, *quantity)).collect();
            for fact in &facts {
                bytes.extend(encode_record(std::slice::from_ref(fact)));
            }
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let found = read_segment(&bytes, 0);
            prop_assert!(facts.starts_with(&found));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), skip in any::<u64>()) {
            read_segment(&bytes, skip);
            let mut with_magic = MAGIC.to_vec();
            with_magic.extend(bytes);
            read_segment(&with_magic, 0);
        }
    }
}
