//! Whose the money is that came in: each vendor's share of what was paid, less the platform's share and its part of the one
//! collection's fee. Parts are found by largest remainder, so that they add up to the whole to the micro.

use crate::{
    ledger::LedgerAccount,
    money::{self, Money, MoneyError, round_half_even},
};
use std::collections::BTreeMap;

/// Somebody's claim on what a statement brings in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Where the statement was posted as earned: a vendor's revenue, or a country's tax.
    pub account: LedgerAccount,
    /// Is it owed to a vendor of a tenant's own? The operator's revenue and tax stay where they are.
    pub passed_on: bool,
    /// How much of the statement it is.
    pub weight: i64,
}

/// Somebody's part of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where it was earned; [`LedgerAccount::Rounding`] for what falls to nobody.
    pub account: LedgerAccount,
    /// Is it owed to a vendor of a tenant's own?
    pub passed_on: bool,
    /// Of what was paid.
    pub gross: Money,
    /// What the platform keeps of it.
    pub platform: Money,
    /// Its part of the fee.
    pub fee: Money,
    /// What is left.
    pub net: Money,
}

/// A whole in parts by weights ([`money::apportion`]); where no weight counts, nobody gets anything.
fn divide(whole: Money, weights: &[i64]) -> Vec<Money> {
    if weights.iter().all(|weight| *weight <= 0) {
        return vec![Money::zero(whole.currency); weights.len()];
    }
    let parts = money::apportion(whole.micros, weights);
    parts.into_iter().map(|micros| Money { micros, ..whole }).collect()
}

/// Takes a settlement apart: what was laid against each statement falls to that statement's claims, what was laid against
/// none to nobody, and the fee to those who earned something.
pub fn parts(
    amount: Money,
    fee: Money,
    allocated: &[(Money, Vec<Claim>)],
    platform_per_mille: i64,
) -> Result<Vec<Part>, MoneyError> {
    let mut gross: BTreeMap<LedgerAccount, (bool, Money)> = BTreeMap::new();
    let mut add = |account, passed_on, part: Money| -> Result<(), MoneyError> {
        let sum = gross.entry(account).or_insert((passed_on, Money::zero(amount.currency)));
        sum.1 = sum.1.plus(part)?;
        Ok(())
    };
    let mut left = amount;
    for (paid, claims) in allocated {
        let weights: Vec<i64> = claims.iter().map(|claim| claim.weight).collect();
        for (claim, part) in claims.iter().zip(divide(*paid, &weights)) {
            left = left.minus(part)?;
            add(claim.account, claim.passed_on, part)?;
        }
    }
    add(LedgerAccount::Rounding, false, left)?;
    gross.retain(|_, (_, part)| !part.is_zero());
    let fees = fees(fee, &gross);
    let part = |((account, (passed_on, gross)), fee): ((LedgerAccount, (bool, Money)), Money)| {
        let mille = i128::from(gross.micros) * i128::from(platform_per_mille);
        let cut = if passed_on { round_half_even(mille, 1_000) } else { 0 };
        let platform = Money { micros: i64::try_from(cut).map_err(|_| MoneyError::Overflow)?, ..gross };
        let net = gross.minus(platform)?.minus(fee)?;
        Ok(Part { account, passed_on, gross, platform, fee, net })
    };
    gross.into_iter().zip(fees).map(part).collect()
}

/// Each part's fee. Tax and what falls to nobody bear none, unless there is nothing else.
fn fees(fee: Money, gross: &BTreeMap<LedgerAccount, (bool, Money)>) -> Vec<Money> {
    let earned = |(account, (_, part)): (&LedgerAccount, &(bool, Money))| match account {
        LedgerAccount::Revenue(_) => part.micros,
        _ => 0,
    };
    let weights: Vec<i64> = gross.iter().map(earned).collect();
    match weights.iter().any(|weight| *weight > 0) {
        true => divide(fee, &weights),
        false => divide(fee, &gross.values().map(|(_, part)| part.micros).collect::<Vec<_>>()),
    }
}

/// Takes back a part of a settlement from whoever got it: what the parts gave up so far goes up to `back_after`, of which
/// `back_before` was taken back earlier. The platform gives its share back in the same measure; the fee is gone.
pub fn parts_back(
    parts: &[Part],
    amount: Money,
    back_before: Money,
    back_after: Money,
) -> Result<Vec<Part>, MoneyError> {
    let gross: Vec<i64> = parts.iter().map(|part| part.gross.micros).collect();
    let (before, after) = (divide(back_before, &gross), divide(back_after, &gross));
    let back = |((part, before), after): ((&Part, Money), Money)| {
        let of = |back: Money| -> Result<Money, MoneyError> {
            let cut = i128::from(part.platform.micros) * i128::from(back.micros);
            let micros = cut / i128::from(part.gross.micros.max(1));
            Ok(Money { micros: i64::try_from(micros).map_err(|_| MoneyError::Overflow)?, ..amount })
        };
        let (gross, platform) = (after.minus(before)?, of(after)?.minus(of(before)?)?);
        let net = gross.minus(platform)?;
        Ok(Part { gross, platform, fee: Money::zero(amount.currency), net, ..*part })
    };
    parts.iter().zip(before).zip(after).map(back).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{currency::Currency, ids::VendorId, money::MICROS_PER_MINOR};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn micros(micros: i64) -> Money {
        Money::micros(micros, Currency::USD)
    }

    fn revenue(vendor: u128) -> LedgerAccount {
        LedgerAccount::Revenue(VendorId(Uuid::from_u128(vendor)))
    }

    /// Rows: a whole, weights, the parts.
    #[test]
    fn parts_add_up_and_the_largest_remainder_gets_what_is_left() {
        for (whole, weights, parts) in [
            (100, vec![1, 1, 1], vec![34, 33, 33]),
            (100, vec![1, 2], vec![33, 67]),
            (2, vec![1, 1, 1], vec![1, 1, 0]),
            (10, vec![0, 5], vec![0, 10]),
            (10, vec![-5, 5], vec![0, 10]),
            (10, vec![0, 0], vec![0, 0]),
            (10, vec![], vec![]),
            (0, vec![3, 4], vec![0, 0]),
        ] {
            let found: Vec<i64> = divide(micros(whole), &weights).iter().map(|part| part.micros).collect();
            assert_eq!(found, parts, "{whole} by {weights:?}");
        }
    }

    /// 1.00 of two vendors and the operator, 10 % to the platform, 33 ¢ to the processor.
    #[test]
    fn a_collection_is_taken_apart() {
        let cents = |cents: i64| micros(cents * MICROS_PER_MINOR);
        let claim = |vendor, passed_on, weight| Claim { account: revenue(vendor), passed_on, weight };
        let claims = vec![claim(1, false, 25), claim(2, true, 50), claim(3, true, 25)];
        let parts = parts(cents(100), cents(33), &[(cents(100), claims)], 100).expect("small");
        let row = |part: &Part| [part.gross, part.platform, part.fee, part.net].map(|it| it.micros / 10_000);
        let rows: Vec<[i64; 4]> = parts.iter().map(row).collect();
        assert_eq!(rows, [[2_500, 0, 825, 1_675], [5_000, 500, 1_650, 2_850], [2_500, 250, 825, 1_425]]);
    }

    fn claims() -> impl Strategy<Value = Vec<Claim>> {
        let claim =
            (1_u128..5, any::<bool>(), -50_i64..10_000_000).prop_map(|(vendor, is_tax, weight)| Claim {
                account: if is_tax { LedgerAccount::Tax(*b"DE") } else { revenue(vendor) },
                passed_on: !is_tax && vendor > 2,
                weight,
            });
        prop::collection::vec(claim, 0..6)
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(whole in 0_i64..i64::MAX, weights in prop::collection::vec(any::<i64>(), 1..20)) {
            let parts = divide(micros(whole), &weights);
            let all: i128 = parts.iter().map(|part| i128::from(part.micros)).sum();
            let counts = weights.iter().any(|weight| *weight > 0);
            prop_assert_eq!(all, if counts { i128::from(whole) } else { 0 });
            let weighed: i128 = weights.iter().map(|weight| i128::from((*weight).max(0))).sum();
            for (part, weight) in parts.iter().zip(&weights) {
                let off = i128::from(part.micros) * weighed - i128::from(whole) * i128::from((*weight).max(0));
                prop_assert!(off.abs() < weighed.max(1), "never a micro off what is exact");
            }
        }

        /// All of a collection is somebody's, all of its fee is borne, and tax bears none where a vendor is there.
        #[test]
        fn shares_and_fee_parts_add_up(
            allocated in prop::collection::vec((0_i64..100_000_000, claims()), 0..5),
            unallocated in 0_i64..1_000, fee_per_mille in 0_i64..1_000, platform in 0_i64..=1_000,
        ) {
            let amount = unallocated + allocated.iter().map(|(paid, _)| paid).sum::<i64>();
            let fee = i64::try_from(i128::from(amount) * i128::from(fee_per_mille) / 1_000).expect("small");
            let allocated: Vec<_> = allocated.into_iter().map(|(paid, claims)| (micros(paid), claims)).collect();
            let parts = parts(micros(amount), micros(fee), &allocated, platform).expect("small");
            let sum = |of: fn(&Part) -> Money| parts.iter().map(|part| of(part).micros).sum::<i64>();
            prop_assert_eq!(sum(|part| part.gross), amount);
            prop_assert_eq!(sum(|part| part.fee), if amount == 0 { 0 } else { fee });
            prop_assert_eq!(sum(|part| part.platform) + sum(|part| part.net) + sum(|part| part.fee), amount);
            for part in &parts {
                prop_assert!(part.gross.micros > 0 && (0..=part.gross.micros).contains(&part.platform.micros));
            }
        }

        /// However a settlement is given back, piece by piece: what everybody gives adds up to the piece, and in the end
        /// to what everybody got.
        #[test]
        fn giving_back_in_pieces_takes_back_what_was_given(
            paid in 1_i64..100_000_000, claims in claims(), cuts in prop::collection::vec(1_i64..50_000_000, 0..6),
        ) {
            let parts = parts(micros(paid), micros(0), &[(micros(paid), claims)], 100).expect("small");
            let (mut before, mut given) = (0, vec![(0, 0); parts.len()]);
            for cut in cuts.into_iter().chain([i64::MAX / 2]) {
                let after = (before + cut).min(paid);
                let back = parts_back(&parts, micros(paid), micros(before), micros(after)).expect("small");
                prop_assert_eq!(back.iter().map(|part| part.gross.micros).sum::<i64>(), after - before);
                for (sum, part) in given.iter_mut().zip(&back) {
                    *sum = (sum.0 + part.gross.micros, sum.1 + part.platform.micros);
                }
                before = after;
            }
            let got: Vec<_> = parts.iter().map(|part| (part.gross.micros, part.platform.micros)).collect();
            prop_assert_eq!(given, got);
        }
    }
}
