//! How often one address may ask without showing a key.
//!
//! A token bucket per address and purpose, kept as one moment: when the bucket is full again (GCRA). The table is
//! bounded; when it is full of busy addresses, all further ones share a bucket.

use crate::problem::{Code, Problem};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// Addresses remembered at once.
const ENTRIES_MAX: usize = 16 * 1024;
/// How often a full table is searched for buckets that are full again.
const SWEEP_EVERY_MS: i64 = 1000;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Looking at a room before joining, the demo's key.
    Look,
    /// Tokens for guests of a room.
    GuestToken,
    /// Rooms made by visitors of a page.
    Visit,
    /// Rooms of the demo.
    DemoRoom,
    /// Publishers and viewers over HTTP: offers, candidates, goodbyes.
    Resource,
    /// Signing in.
    SignIn,
}

impl Purpose {
    /// How many at once, and how many milliseconds give one more.
    fn rate(self) -> (i64, i64) {
        match self {
            Purpose::Look => (120, 200),
            Purpose::GuestToken => (60, 500),
            Purpose::Visit => (30, 1000),
            Purpose::DemoRoom => (30, 2000),
            Purpose::Resource => (240, 50),
            Purpose::SignIn => (20, 3000),
        }
    }
}

/// The buckets of all addresses.
#[derive(Debug, Default)]
pub struct Limiter(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    full_again_ms: BTreeMap<(Purpose, IpAddr), i64>,
    swept_ms: i64,
}

impl Limiter {
    /// Takes one from the bucket, or says when there is one again.
    pub fn take(&self, purpose: Purpose, address: IpAddr, now: Timestamp) -> Result<(), Problem> {
        // The table is a cache of numbers: after a panic elsewhere it is still one.
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.take(purpose, network(address), now.as_millisecond()).map_err(too_many)
    }
}

impl Table {
    fn take(&mut self, purpose: Purpose, address: IpAddr, now_ms: i64) -> Result<(), i64> {
        let address = self.room_for(purpose, address, now_ms);
        let full_again_ms = self.wait_ms(purpose, address, now_ms)?;
        self.full_again_ms.insert((purpose, address), full_again_ms + purpose.rate().1);
        Ok(())
    }

    /// When the bucket is full again, or how long until one can be taken.
    fn wait_ms(&self, purpose: Purpose, address: IpAddr, now_ms: i64) -> Result<i64, i64> {
        let (burst, each_ms) = purpose.rate();
        // Further ahead than an empty bucket is only what was stored before the clock was set back.
        let stored_ms = self.full_again_ms.get(&(purpose, address)).copied();
        let full_again_ms =
            stored_ms.filter(|at_ms| (now_ms..=now_ms + burst * each_ms).contains(at_ms)).unwrap_or(now_ms);
        let over_ms = full_again_ms + each_ms - now_ms - burst * each_ms;
        if over_ms > 0 { Err(over_ms) } else { Ok(full_again_ms) }
    }

    fn room_for(&mut self, purpose: Purpose, address: IpAddr, now_ms: i64) -> IpAddr {
        let is_known = self.full_again_ms.contains_key(&(purpose, address));
        if is_known || self.full_again_ms.len() < ENTRIES_MAX {
            return address;
        }
        if (now_ms - self.swept_ms).abs() >= SWEEP_EVERY_MS {
            self.swept_ms = now_ms;
            self.full_again_ms.retain(|_, full_again_ms| *full_again_ms > now_ms);
        }
        if self.full_again_ms.len() < ENTRIES_MAX { address } else { Ipv4Addr::UNSPECIFIED.into() }
    }
}

/// Whoever has one IPv6 address has the /64 around it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

fn too_many(wait_ms: i64) -> Problem {
    let seconds = u64::try_from(wait_ms).unwrap_or(0).div_ceil(1000);
    Problem::new(Code::TooManyRequests, format!("try again in {seconds} s")).retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn a_burst_is_allowed_then_a_steady_rate() {
        let (mut table, at) = (Table::default(), address(1));
        let (burst, each_ms) = Purpose::SignIn.rate();
        for _ in 0..burst {
            table.take(Purpose::SignIn, at, 0).expect("within the burst");
        }
        assert_eq!(table.take(Purpose::SignIn, at, 0), Err(each_ms));
        assert_eq!(table.take(Purpose::SignIn, at, each_ms - 1), Err(1));
        assert_eq!(table.take(Purpose::SignIn, at, each_ms), Ok(()));
        assert_eq!(table.take(Purpose::SignIn, at, each_ms), Err(each_ms));
        assert_eq!(table.take(Purpose::SignIn, address(2), 0), Ok(()), "another address is not concerned");
        assert_eq!(table.take(Purpose::Visit, at, 0), Ok(()), "another purpose is not concerned");
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let (mut table, at) = (Table::default(), address(1));
        table.take(Purpose::SignIn, at, 1_000_000_000).expect("the first");
        table.take(Purpose::SignIn, at, 0).expect("the bucket is full anew");
    }

    #[test]
    fn the_table_does_not_grow_beyond_its_bound() {
        let mut table = Table::default();
        for n in 0..ENTRIES_MAX as u32 + 1000 {
            table.take(Purpose::GuestToken, address(n + 1), 0).ok();
        }
        assert!(table.full_again_ms.len() <= ENTRIES_MAX + 1);
        table.take(Purpose::GuestToken, address(u32::MAX), 1_000_000).expect("old entries made room");
        assert_eq!(table.full_again_ms.len(), 1);
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
