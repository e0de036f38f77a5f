//! What a coupon may be, who may redeem it, and what it takes.

use super::*;
use crate::money::MICROS_PER_MINOR;
use proptest::prelude::*;
use uuid::Uuid;

fn new() -> NewCoupon {
    NewCoupon {
        code: "SPRING-26".into(),
        name: "Spring".into(),
        vendor_id: VendorId(Uuid::from_u128(1)),
        plans: Vec::new(),
        percent_millionths: Some(200_000),
        amount_micros: None,
        currency: None,
        months: Some(3),
        redemptions_max: Some(2),
        redeem_by: Some("2026-06-01T00:00:00Z".parse().expect("a time")),
    }
}

fn made(new: &NewCoupon) -> Coupon {
    new.check(CouponId(Uuid::from_u128(9))).expect("it makes sense")
}

fn off(amount_micros: i64, currency: &str) -> NewCoupon {
    let (amount_micros, currency) = (Some(amount_micros), Some(currency.into()));
    NewCoupon { percent_millionths: None, amount_micros, currency, ..new() }
}

/// Rows: what is wrong with a coupon, the field, and a part of the reason.
#[test]
fn a_coupon_that_makes_no_sense_is_refused() {
    let none = NewCoupon { percent_millionths: None, ..new() };
    for (new, field, why) in [
        (NewCoupon { code: "AB".into(), ..new() }, "code", "3 to 40"),
        (NewCoupon { code: "spring".into(), ..new() }, "code", "capital"),
        (NewCoupon { code: "-SPRING".into(), ..new() }, "code", "capital"),
        (NewCoupon { code: "A".repeat(41), ..new() }, "code", "3 to 40"),
        (NewCoupon { name: " ".into(), ..new() }, "name", "1 to 120"),
        (NewCoupon { name: "a\nb".into(), ..new() }, "name", "one line"),
        (NewCoupon { plans: vec![PlanId(Uuid::nil()); 51], ..new() }, "plans", "50"),
        (NewCoupon { months: Some(0), ..new() }, "months", "1 to 1200"),
        (NewCoupon { months: Some(1_201), ..new() }, "months", "1 to 1200"),
        (NewCoupon { redemptions_max: Some(0), ..new() }, "redemptions_max", "1 or more"),
        (NewCoupon { percent_millionths: Some(0), ..new() }, "percent_millionths", "1 to 1000000"),
        (NewCoupon { percent_millionths: Some(1_000_001), ..new() }, "percent_millionths", "1 to 1000000"),
        (NewCoupon { percent_millionths: Some(-1), ..new() }, "percent_millionths", "1 to 1000000"),
        (NewCoupon { percent_millionths: Some(1), ..off(1, "USD") }, "percent_millionths", "either"),
        (none.clone(), "percent_millionths", "either"),
        (NewCoupon { amount_micros: Some(1), ..none }, "currency", "missing"),
        (off(1, "XXQ"), "currency", "ISO 4217"),
        (off(0, "USD"), "amount_micros", "1 or more"),
        (off(-1, "USD"), "amount_micros", "1 or more"),
    ] {
        let refused = new.check(CouponId(Uuid::nil())).expect_err(field);
        assert!(refused.field == field && refused.why.contains(why), "{refused}");
    }
    assert_eq!(made(&new()).off, Off::PercentMillionths(200_000));
    let yen = made(&off(5 * MICROS_PER_MINOR, "JPY"));
    assert_eq!(yen.off, Off::Amount(Money::micros(5_000_000, "JPY".parse().expect("JPY"))));
}

/// Rows: an account's currency, the time, whether it has redeemed, how often all have, and the refusal.
#[test]
fn a_coupon_is_redeemed_in_time_once_and_no_more_often_than_it_may() {
    use CouponRefused::*;
    let (early, last, late) = ("2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-06-01T00:00:01Z");
    let at = |text: &str| text.parse::<Timestamp>().expect(text);
    let (share, dollars) = (made(&new()), made(&off(1, "USD")));
    let euros: Currency = "EUR".parse().expect("EUR");
    for (coupon, currency, now, has_redeemed, redeemed, refused) in [
        (&share, Currency::USD, early, false, 0, None),
        (&share, euros, last, false, 1, None),
        (&share, Currency::USD, late, false, 0, Some(Over(at(last)))),
        (&share, Currency::USD, early, false, 2, Some(UsedUp)),
        (&share, Currency::USD, early, true, 1, Some(AlreadyRedeemed)),
        (&share, Currency::USD, late, true, 2, Some(AlreadyRedeemed)),
        (&dollars, euros, early, false, 0, Some(AnotherCurrency(Currency::USD, euros))),
        (&dollars, Currency::USD, early, false, 0, None),
    ] {
        let wanting = Wanting { currency, now: at(now), has_redeemed, redeemed };
        assert_eq!(coupon.check(wanting).err(), refused, "{wanting:?}");
    }
}

#[test]
fn a_coupon_counts_for_its_months() {
    let redeemed = |months| Redeemed {
        coupon: made(&NewCoupon { months, ..new() }),
        from: "2026-11".parse().expect("a month"),
    };
    for (months, month, covers) in [
        (Some(1), "2026-10", false),
        (Some(1), "2026-11", true),
        (Some(1), "2026-12", false),
        (Some(3), "2027-01", true),
        (Some(3), "2027-02", false),
        (None, "2026-10", false),
        (None, "2099-12", true),
    ] {
        assert_eq!(redeemed(months).covers(month.parse().expect("a month")), covers, "{months:?} {month}");
    }
}

proptest! {
    /// Whatever takes something off a line, in whatever order: what is left has the line's sign or is nothing.
    #[test]
    fn discounts_never_exceed_the_line(
        line in -1_000_000_000_i64..1_000_000_000,
        coupons in prop::collection::vec((any::<bool>(), 1_i64..=1_000_000), 0..6),
        code in prop_oneof![Just("USD"), Just("JPY"), Just("KWD")],
    ) {
        let currency: Currency = code.parse().expect(code);
        let mut left = Money::micros(line, currency);
        for (is_share, number) in coupons {
            let off = if is_share { Off::PercentMillionths(number) } else { Off::Amount(Money::micros(number * 500, currency)) };
            let taken = Discounting { off }.take(left).expect("small");
            prop_assert!(taken.micros.abs() <= left.micros.abs() && taken.micros.signum() * left.micros.signum() >= 0);
            left = left.minus(taken).expect("small");
        }
        prop_assert!(left.micros.signum() * line.signum() >= 0);
    }
}
