//! Who may have an allocation: whoever this node has answered. A pass says until when it opens one and for which leg, and its
//! password follows from that and from a secret that is made at each start, so that nothing is kept of passes given out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use jiff::{SignedDuration, Timestamp};
use md5::{Digest, Md5};

use crate::control::{LegId, TurnServer};

/// What passwords are for (RFC 8489 §14.9).
pub(crate) const REALM: &str = "tuppence";
/// A call may last as long and still find this way when its network changes.
const VALID_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Allocations of one pass at once. Chromium makes one for each of its networks, Firefox two, and both as many again when they
/// start ICE anew.
const ALLOCATIONS_MAX: usize = 12;
/// The hexadecimal digits of a password: 128 bits.
const PASSWORD_DIGITS: usize = 32;
/// An expiry and a leg are shorter.
const USERNAME_BYTES_MAX: usize = 64;

/// Makes passes and knows them again.
#[derive(Debug)]
pub(crate) struct Passes {
    url: String,
    secret: hmac::Key,
    /// How many allocations a pass has; those with none are not in it.
    held: Mutex<HashMap<String, usize>>,
}

/// What a message with a pass is signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) key: [u8; 16],
    ends_at: Timestamp,
}

impl Pass {
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.ends_at
    }
}

/// One of the allocations that a pass allows.
#[derive(Debug)]
pub(crate) struct Place {
    passes: Arc<Passes>,
    username: String,
}

impl Passes {
    pub(crate) fn new(url: String, secret: [u8; 32]) -> Passes {
        Passes { url, secret: hmac::Key::new(hmac::HMAC_SHA256, &secret), held: Mutex::default() }
    }

    /// For a leg that is answered now.
    pub(crate) fn issue(&self, leg: LegId, now: Timestamp) -> TurnServer {
        let ends_at = now.saturating_add(VALID_FOR).unwrap_or(Timestamp::MAX);
        let username = format!("{}:{}", ends_at.as_second(), leg.0.simple());
        let credential = self.password(&username);
        TurnServer { url: self.url.clone(), username, credential }
    }

    /// What a pass of this name is signed with; `None` if it is no name of a pass. Whoever made it up cannot know the key.
    pub(crate) fn find(&self, username: &str) -> Option<Pass> {
        let (ends_at, _) = username.split_once(':').filter(|_| username.len() <= USERNAME_BYTES_MAX)?;
        let ends_at = Timestamp::from_second(ends_at.parse().ok()?).ok()?;
        Some(Pass { key: long_term_key(username, REALM, &self.password(username)), ends_at })
    }

    /// A place for one more allocation; `None` if the pass has all it may.
    pub(crate) fn take(self: &Arc<Self>, username: &str) -> Option<Place> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(username.to_owned()).or_default();
        if *count == ALLOCATIONS_MAX {
            return None;
        }
        *count += 1;
        Some(Place { passes: self.clone(), username: username.to_owned() })
    }

    fn password(&self, username: &str) -> String {
        let sum = hmac::sign(&self.secret, username.as_bytes());
        let digits = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        digits[..PASSWORD_DIGITS].to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.passes.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = held.entry(std::mem::take(&mut self.username)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// The key of long-term credentials (RFC 8489 §9.2.2). MD5 is what browsers know; the password behind it is 128 bits of ours.
pub(crate) fn long_term_key(username: &str, realm: &str, password: &str) -> [u8; 16] {
    Md5::digest(format!("{username}:{realm}:{password}")).into()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_pass_is_known_again_until_it_is_over() {
        let passes = Passes::new("turns:a".into(), [1; 32]);
        let now = Timestamp::from_second(1_000_000).unwrap();
        let TurnServer { url, username, credential } = passes.issue(LegId(Uuid::from_u128(7)), now);
        assert_eq!(
            (url.as_str(), username.as_str()),
            ("turns:a", "1086400:00000000000000000000000000000007")
        );
        let pass = passes.find(&username).unwrap();
        assert_eq!(pass.key, long_term_key(&username, REALM, &credential));
        assert!(!pass.is_over(now) && pass.is_over(now + VALID_FOR));
    }

    #[test]
    fn another_node_s_pass_a_longer_one_and_a_made_up_one_have_another_key() {
        let (passes, other) = (Passes::new(String::new(), [1; 32]), Passes::new(String::new(), [2; 32]));
        let given = passes.issue(LegId(Uuid::nil()), Timestamp::UNIX_EPOCH);
        let key = |passes: &Passes, username: &str| passes.find(username).map(|pass| pass.key);
        let own = long_term_key(&given.username, REALM, &given.credential);
        assert_eq!(key(&passes, &given.username), Some(own));
        assert_ne!(key(&other, &given.username), Some(own));
        let longer = format!("9{}", given.username);
        assert_ne!(key(&passes, &longer), Some(long_term_key(&longer, REALM, &given.credential)));
        for name in ["", ":", "x:y", "86400", &format!("1:{}", "x".repeat(70))] {
            assert_eq!(passes.find(name), None, "{name}");
        }
    }

    #[test]
    fn a_pass_allows_a_few_allocations_at_once_and_nothing_is_kept_of_those_that_ended() {
        let passes = Arc::new(Passes::new(String::new(), [1; 32]));
        for _ in 0..100 {
            let places: Vec<_> = std::iter::from_fn(|| passes.take("1:a")).collect();
            assert_eq!(places.len(), ALLOCATIONS_MAX);
            assert!(passes.take("1:b").is_some(), "another's does not count");
        }
        assert!(passes.held.lock().unwrap().is_empty());
    }
}
