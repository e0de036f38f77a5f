//! Tiers of usage, each with its rate. A free first tier is an allowance.

/// What a stretch of usage costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Where it ends, in the meter's own unit; the last tier has no end.
    pub up_to: Option<i64>,
    /// Micros for each unit within it.
    pub rate_micros: i64,
}

/// Tiers that are known to make sense: rising, only the last without end, no rate below zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiers(Vec<Tier>);

/// Why tiers make no sense. Positions count from 1, as people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TierError {
    /// None at all.
    #[error("a metered price needs at least one tier")]
    Empty,
    /// A gap above the last.
    #[error("the last tier must have no end, or usage above it would have no price")]
    LastEnds,
    /// Something above infinity.
    #[error("tier {0} has no end, but is not the last")]
    EndlessInTheMiddle(usize),
    /// Upside down, or empty.
    #[error("tier {0} ends where the one before it ends, or earlier")]
    NotRising(usize),
    /// A price that falls as usage grows.
    #[error("tier {0} has a rate below zero")]
    NegativeRate(usize),
}

impl Tiers {
    /// Checks them.
    pub fn new(tiers: Vec<Tier>) -> Result<Self, TierError> {
        let last = tiers.last().ok_or(TierError::Empty)?;
        if last.up_to.is_some() {
            return Err(TierError::LastEnds);
        }
        let mut below = 0;
        for (index, tier) in tiers.iter().enumerate() {
            let position = index + 1;
            if tier.rate_micros < 0 {
                return Err(TierError::NegativeRate(position));
            }
            match tier.up_to {
                None if position < tiers.len() => return Err(TierError::EndlessInTheMiddle(position)),
                Some(up_to) if up_to <= below => return Err(TierError::NotRising(position)),
                up_to => below = up_to.unwrap_or(below),
            }
        }
        Ok(Self(tiers))
    }

    /// The tiers, lowest first.
    pub fn as_slice(&self) -> &[Tier] {
        &self.0
    }

    /// How much is free: the end of a first tier at rate 0.
    pub fn included(&self) -> Option<i64> {
        self.0.first().filter(|first| first.rate_micros == 0).and_then(|first| first.up_to)
    }

    /// The rate beyond the allowance, if there is just one.
    pub fn single_rate_micros(&self) -> Option<i64> {
        let paid = if self.included().is_some() { &self.0[1..] } else { &self.0[..] };
        if let [only] = paid { Some(only.rate_micros) } else { None }
    }

    /// Usage in each tier times its rate, not yet divided by the unit; `None` if that is too large.
    pub(super) fn weigh(&self, used: i128) -> Option<i128> {
        let mut weight = 0_i128;
        let mut below = 0;
        for tier in &self.0 {
            let top = tier.up_to.map_or(used, |up_to| used.min(up_to.into()));
            let within = (top - below).max(0);
            weight = weight.checked_add(within.checked_mul(i128::from(tier.rate_micros))?)?;
            below = top.max(below);
        }
        Some(weight)
    }

    /// The rate of the tier that the last unit lies in.
    pub(super) fn rate_at(&self, used: i128) -> i64 {
        let reaches = |tier: &&Tier| tier.up_to.is_none_or(|up_to| used <= i128::from(up_to));
        self.0.iter().find(reaches).map_or(0, |tier| tier.rate_micros)
    }
}
